"""Measure self-speculative decoding against greedy decoding of the same model, in one interleaved run.

    python benchmarks/speculative.py MODEL... [--prompts FILE] [--count 100] [--new 64] [--rounds 3] [--json FILE]

Each MODEL is a directory of a model with prediction heads. Prompts are the lines of FILE, or the first eight words of
sentences of the bundled sample. In each round every prompt is continued once by each way, in turns that start with
another way each time. The script stops with an error if the two texts differ. It prints, for each model, tokens per
pass, the share of each head's drafts that became text, and the ratio of the times: the median over rounds, with the
smallest and the largest. On a busy machine compare CPU times, with OMP_NUM_THREADS=1.
"""

import argparse
import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

from l2t_hub.corpus.files import SAMPLE, find_files
from l2t_hub.generate import Continuation, Generation
from l2t_hub.generate.decoding import Drafted, continue_tokens
from l2t_hub.scoring import load_scorer
from l2t_hub.train.hardware import hardware
from l2t_hub.train.heads_file import read_heads

WAYS = ("greedy", "speculative")
KEPT = ("model", "tokens", "passes", "tokens_per_pass", "acceptance")
WORDS = 8


@dataclass
class Spent:
    """Seconds of a way of decoding in one round, by the clock and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0
    drafted: list[Drafted] = field(default_factory=list)


def sentences(count: int) -> list[str]:
    """Return the first words of sentences of the bundled sample, in the order of its files."""
    found = []
    for path in find_files(SAMPLE, "")[1]:
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) > WORDS:
                found.append(" ".join(words[:WORDS]))
    return found[:count]


def measure(name: str, prompts: list[str], new: int, rounds: int) -> dict[str, Any]:
    """Return what one model takes for the prompts in both ways, per round."""
    scorer = load_scorer(name, dtype="float32")
    heads = read_heads(Path(scorer.source.location), name, scorer.model)
    if heads is None:
        raise SystemExit(f"{name}: no prediction heads")
    encoded = [
        [scorer.prefix_id, *scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        for prompt in prompts
    ]
    ends = {scorer.tokenizer.eos_token_id}
    for way in (None, heads):  # warm-up
        continue_tokens(scorer.model, way, encoded[0], new, ends)
    results: list[dict[str, Spent]] = []
    for turn in range(rounds):
        spent = {way: Spent() for way in WAYS}
        for number, ids in enumerate(encoded):
            for way in WAYS if (number + turn) % 2 == 0 else WAYS[::-1]:
                before = perf_counter(), process_time()
                drafted = continue_tokens(
                    scorer.model, heads if way == "speculative" else None, ids, new, ends
                )
                spent[way].wall += perf_counter() - before[0]
                spent[way].cpu += process_time() - before[1]
                spent[way].drafted.append(drafted)
        greedy, speculative = ([one.tokens for one in spent[way].drafted] for way in WAYS)
        if greedy != speculative:
            raise SystemExit(f"{name}: the texts differ")
        results.append(spent)
    last = results[-1]["speculative"].drafted
    parts = tuple(Continuation("", "", tuple(one.tokens), one.passes, *one.drafts()) for one in last)
    return {
        **{key: value for key, value in Generation(name, parts, 0.0).as_dict().items() if key in KEPT},
        "head": heads.kind,
        "speed_up": ratios([(one["greedy"].wall, one["speculative"].wall) for one in results]),
        "speed_up_cpu": ratios([(one["greedy"].cpu, one["speculative"].cpu) for one in results]),
    }


def ratios(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Return the median of the quotients, the smallest and the largest."""
    found = [a / b for a, b in pairs]
    return {"median": round(median(found), 3), "min": round(min(found), 3), "max": round(max(found), 3)}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    lines = arguments.prompts.read_text(encoding="utf-8").splitlines() if arguments.prompts else None
    prompts = [line for line in lines if line.strip()] if lines else sentences(arguments.count)
    prompts = prompts[: arguments.count]
    report: dict[str, Any] = {
        "prompts": len(prompts),
        "new_tokens": arguments.new,
        "rounds": arguments.rounds,
        "hardware": hardware().model_dump(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "models": [],
    }
    for name in arguments.models:
        report["models"].append(measure(name, prompts, arguments.new, arguments.rounds))
        print(json.dumps(report["models"][-1], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
