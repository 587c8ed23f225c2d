"""Check an experiment's intervals on its own decisions: with the labels of the arms shuffled, they must find nothing.

    python scripts/shuffled_arms.py runs/evidence-cpu/scores/blimp.json results/evidence-cpu/shuffled-blimp.json

Chance says, for each seed, which of its runs is of which arm: the runs of a seed begin with the same weights. Two
such arms are compared as arms are, 200 times. About 5% of the p-values should be below 0.05.
"""

import json
import sys
from pathlib import Path

import numpy as np

from l2t_hub.evaluate.inference import crossed_difference
from l2t_hub.evaluate.read_results import read_evaluation, read_samples
from l2t_hub.evaluate.statistics import example_key

SHUFFLES, ALPHA = 200, 0.05


def decisions(file: Path) -> tuple[np.ndarray, np.ndarray, int, list[int | None]]:
    """Return what each paradigm (column) adds to each run's accuracy (row), its share, the number of items, seeds."""
    evaluation, rows, paradigms = read_evaluation(file), dict[str, np.ndarray](), list[tuple[str, str]]()
    keys = []
    for label, samples in read_samples(file, evaluation):
        if not keys:
            keys = sorted(example_key(sample) for sample in samples)
            where = {example_key(s): (s.phenomenon, s.paradigm or str(example_key(s))) for s in samples}
            paradigms = sorted(set(where.values()))
            column = np.array([paradigms.index(where[key]) for key in keys])
        right = {example_key(sample): sample.correct for sample in samples}
        correct = np.array([right[key] for key in keys], dtype=float)
        rows[label] = np.bincount(column, weights=correct, minlength=len(paradigms)) / len(keys)
    runs = np.array([rows[model.label] for model in evaluation.models])
    return runs, np.bincount(column) / len(keys), len(keys), [model.seed for model in evaluation.models]


def shuffled(runs: np.ndarray, shares: np.ndarray, items: int, seeds: list[int | None]) -> list[float]:
    """Return the p-values of the differences between two random arms, each with a run of every seed."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SHUFFLES):
        drawn = [rng.permutation([i for i, seed in enumerate(seeds) if seed == s])[:2] for s in set(seeds)]
        first, second = (runs[list(group)] for group in zip(*drawn, strict=True))
        found.append(crossed_difference(first, second, shares, items)[1])
    return found


def main(file: str, out: str) -> None:
    """Write how many of the p-values are small."""
    runs, shares, items, seeds = decisions(Path(file))
    found = np.array(shuffled(runs, shares, items, seeds))
    below = int((found < ALPHA).sum())
    result = {
        "suite": Path(file).stem,
        "runs": len(runs),
        "seeds": len(set(seeds)),
        "shuffles": SHUFFLES,
        "p_below_0.05": below,
        "share": below / SHUFFLES,
        "smallest_p": round(float(found.min()), 4),
    }
    Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
