"""Results of evaluations without models: decisions drawn from a seed, and everything that `l2t eval` makes of them."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from l2t_hub.evaluate import statistics
from l2t_hub.evaluate.comparing import compare_decisions
from l2t_hub.evaluate.readings import readings
from l2t_hub.evaluate.results import (
    SCHEMA,
    Evaluation,
    ModelScores,
    Protocol,
    Sample,
    TaskProtocol,
    write_evaluation,
)

TASK = TaskProtocol("l2t_probes", "1.0", 0, "acc", "", 288, "a" * 64)


def protocol(suite: str = "probes", **changes: Any) -> Protocol:
    made = Protocol(
        suite=suite,
        suite_sha256="b" * 64,
        harness="lm-evaluation-harness",
        harness_version="0.4.12",
        tasks=(TASK,),
        context="sentences follow one prefix token",
        softmax="float32",
        batch_rule="one rule",
        limit=None,
        level=0.95,
        intervals=statistics.INTERVALS,
        versions={"l2t_hub": "0"},
        date="2026-11-21T00:00:00+00:00",
    )
    return replace(made, **changes)


def decisions(
    label: str, share: float, phenomena: int = 12, items: int = 24, names: str = "phenomenon_{}"
) -> list[Sample]:
    rng = random.Random(f"{label} {share}")
    samples = []
    for i in range(phenomena * items):
        right = rng.random() < share
        own = (-1.0, -2.0) if right else (-2.0, -1.0)
        other = own if rng.random() < 0.95 else own[::-1]
        name = names.format(f"{i % phenomena:02}")
        samples.append(
            Sample(
                label,
                TASK.task,
                str(i),
                name,
                f"{name}/{i % (2 * phenomena)}",
                right,
                0,
                own,
                (5, 4),
                other,
                (6, 5),
            )
        )
    return samples


def scores(label: str, samples: list[Sample], **facts: Any) -> ModelScores:
    phenomena, micro, macro = statistics.accuracies(samples)
    made = ModelScores(
        label=label,
        model=f"/home/somebody/models/{label}",
        revision=None,
        weights_sha256=f"{abs(hash(label)):064x}"[-64:],
        parameters=5_000_000,
        dtype="float32",
        device="cpu",
        prefix_token="<s>",
        prefix_id=1,
        phenomena=phenomena,
        micro=micro,
        macro=macro,
        ties=0,
        seconds=1.0,
        clustered=statistics.clustered_accuracy(samples),
        readings=readings(samples, False),
    )
    return replace(made, **facts)


def evaluation(
    out: Path,
    shares: dict[str, float],
    facts: dict[str, dict[str, Any]] | None = None,
    suite: str = "probes",
    **how: Any,
) -> Evaluation:
    """Write the results of some models with these shares of right answers, the first the baseline, and return them."""
    groups = {label: decisions(label, share, **how) for label, share in shares.items()}
    first, *others = groups
    made = Evaluation(
        SCHEMA,
        protocol(suite),
        tuple(scores(label, samples, **(facts or {}).get(label, {})) for label, samples in groups.items()),
        tuple(compare_decisions(label, groups[label], first, groups[first], (TASK,)) for label in others),
        None,
        None,
    )
    return write_evaluation(made, [sample for samples in groups.values() for sample in samples], out)
