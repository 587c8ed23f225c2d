"""Saved results on the bundled probes without models: decisions that are made up, on the sentences that are asked."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_scores import TASK, protocol, scores

from l2t_hub.evaluate.comparing import compare_decisions
from l2t_hub.evaluate.results import SCHEMA, Evaluation, Sample, write_evaluation
from l2t_hub.evaluate.suites import PROBES, SUITES

PER_PHENOMENON = 8
PHENOMENA = ("anaphor_agreement", "ellipsis", "npi_licensing")


def probes() -> list[dict[str, str]]:
    """Return the first pairs of some phenomena, as `--limit` would take them."""
    return [
        json.loads(line)
        for name in PHENOMENA
        for line in (PROBES / "data" / f"{name}.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()[:PER_PHENOMENON]
    ]


def decided(label: str, share: float, *, texts: bool) -> list[Sample]:
    """Return decisions of which this share is right."""
    rng = random.Random(f"{label} {share}")
    found = []
    for row in probes():
        gap = rng.uniform(0.5, 9) * (1 if rng.random() < share else -1)
        found.append(
            Sample(
                label,
                TASK.task,
                row["id"],
                row["phenomenon"],
                row["paradigm"],
                gap > 0,
                0,
                (-20.0, -20.0 - gap),
                (6, 6),
                (-21.0, -21.0 - gap / 2),
                (7, 7),
                texts=(row["good"], row["bad"]) if texts else (),
            )
        )
    return found


def save(
    out: Path,
    shares: Mapping[str, float],
    facts: Mapping[str, dict[str, Any]] | None = None,
    *,
    texts: bool = True,
    **how: Any,
) -> Evaluation:
    """Write the results of some models with these shares of right answers, the first one the baseline."""
    out.parent.mkdir(parents=True, exist_ok=True)
    groups = {label: decided(label, share, texts=texts) for label, share in shares.items()}
    first, *others = groups
    asked = {"suite_sha256": SUITES["probes"].digest(), "limit": PER_PHENOMENON} | how
    evaluation = Evaluation(
        SCHEMA,
        protocol(**asked),
        tuple(scores(label, samples, **(facts or {}).get(label, {})) for label, samples in groups.items()),
        tuple(compare_decisions(label, groups[label], first, groups[first], (TASK,)) for label in others),
        None,
        None,
    )
    return write_evaluation(evaluation, [sample for samples in groups.values() for sample in samples], out)
