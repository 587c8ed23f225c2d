"""Results of several evaluations as one: which are compared, how, and with whom."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.evaluate import Evaluation, statistics
from l2t_hub.evaluate.conclusions import conclusions
from l2t_hub.evaluate.merging import Result, merge
from l2t_hub.evaluate.read_results import read_samples
from l2t_hub.evaluate.results import ModelScores, Protocol, TaskProtocol, write_evaluation

Apart = Callable[[str], Result]


@pytest.fixture
def apart(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> Apart:
    """One model of the evaluation in results of its own, as if it had been scored alone."""
    evaluation, out = evaluated
    samples = dict(read_samples(out, evaluation))

    def one(label: str) -> Result:
        model = next(m for m in evaluation.models if m.label == label)
        alone = replace(evaluation, models=(model,), comparisons=())
        path = tmp_path / f"{label}.json"
        return Result(path.name, path, write_evaluation(alone, samples[label], path))

    return one


def test_models_scored_apart_are_compared_as_if_scored_together(
    evaluated: tuple[Evaluation, Path], apart: Apart
) -> None:
    (merged,), notes = merge([apart("raw"), apart("l2t")])
    assert notes == []
    assert merged.comparisons == evaluated[0].comparisons
    assert merged.models == evaluated[0].models


def test_another_baseline_turns_the_differences_around(evaluated: tuple[Evaluation, Path]) -> None:
    evaluation, out = evaluated
    result = Result("scores", out, evaluation)
    (merged,), _ = merge([result], "l2t")
    assert [model.label for model in merged.models] == ["l2t", "raw"]
    (turned,), (own,) = merged.comparisons, evaluation.comparisons
    assert (turned.model, turned.baseline) == ("raw", "l2t")
    assert turned.micro.difference.value == -own.micro.difference.value
    assert turned.micro.only_model == own.micro.only_baseline
    assert merge([result], str(evaluation.models[1].model))[0] == [merged]
    with pytest.raises(UsageError, match="Did you mean 'l2t'"):
        merge([result], "l2tt")


@pytest.mark.parametrize("lost", ["no file", "changed", "other items"])
def test_without_its_decisions_a_model_is_compared_by_its_scores(
    evaluated: tuple[Evaluation, Path], apart: Apart, lost: str
) -> None:
    raw, l2t = apart("raw"), apart("l2t")
    samples = l2t.path.parent / str(l2t.evaluation.samples_file)
    if lost == "no file":
        l2t = replace(l2t, evaluation=replace(l2t.evaluation, samples_file=None, samples_sha256=None))
    elif lost == "changed":
        samples.write_text(samples.read_text().replace("true", "false", 1))
    else:
        rows = [json.loads(line) for line in samples.read_text().splitlines()]
        renamed = [{**row, "id": f"x{row['id']}"} for row in rows]
        samples.write_text("".join(json.dumps(row) + "\n" for row in renamed))
        from l2t_hub.artifacts import sha256_of

        l2t = replace(l2t, evaluation=replace(l2t.evaluation, samples_sha256=sha256_of(samples)))
    (merged,), notes = merge([raw, l2t])
    assert [("differs" in n, "different items" in n) for n in notes] == {
        "no file": [],
        "changed": [(True, False)],
        "other items": [(False, True)],
    }[lost]
    (comparison,), (own,) = merged.comparisons, evaluated[0].comparisons
    assert not comparison.paired
    assert comparison.micro.difference.value == pytest.approx(own.micro.difference.value)
    assert comparison.micro.difference.low < own.micro.difference.low
    (said,) = conclusions(merged)
    assert "independent samples, which is wider" in said
    assert "McNemar" not in said


def changed_task(protocol: Protocol, **changes: object) -> Protocol:
    task: TaskProtocol = replace(protocol.tasks[0], **changes)  # type: ignore[arg-type]
    return replace(protocol, tasks=(task, *protocol.tasks[1:]))


PROTOCOLS: dict[str, Callable[[Protocol], Protocol]] = {
    "the suite's data": lambda p: replace(p, suite_sha256="0" * 64),
    "the version of the harness": lambda p: replace(p, harness_version="0.0.1"),
    "the examples per task": lambda p: replace(p, limit=10),
    "the text before an answer": lambda p: changed_task(p, target_delimiter="  "),
    "the version of l2t_probes_a": lambda p: changed_task(p, version="99"),
    "the examples of l2t_probes_a": lambda p: changed_task(p, examples_sha256="1" * 64),
    "the tasks": lambda p: changed_task(p, task="other"),
}


@pytest.mark.parametrize("what", PROTOCOLS)
def test_results_of_different_protocols_are_not_compared(apart: Apart, what: str) -> None:
    raw, l2t = apart("raw"), apart("l2t")
    evaluation = replace(l2t.evaluation, protocol=PROTOCOLS[what](l2t.evaluation.protocol))
    merged, notes = merge([raw, replace(l2t, evaluation=evaluation)], "raw")
    assert [len(group.models) for group in merged] == [1, 1]
    assert all(group.comparisons == () for group in merged)
    assert f"raw.json and l2t.json are not compared: they differ in {what}" in notes[0]
    assert "l2t: not compared with raw" in notes[1]


def test_the_same_result_twice_is_one_model_and_equal_labels_become_different(apart: Apart) -> None:
    raw, l2t = apart("raw"), apart("l2t")
    (merged,), _ = merge([raw, raw, l2t, replace(l2t, name="again")])
    assert [model.label for model in merged.models] == ["raw", "l2t"]
    namesake = replace(l2t.evaluation.models[0], label="raw")
    renamed = replace(l2t, evaluation=replace(l2t.evaluation, models=(namesake,)))
    (merged,), _ = merge([raw, renamed])
    assert len({model.label for model in merged.models}) == 2


def seeds(model: ModelScores, recipe: str, accuracies: list[float]) -> list[ModelScores]:
    made = []
    for seed, share in enumerate(accuracies):
        rows = [
            replace(
                row,
                correct=round(share * row.total),
                accuracy=statistics.wilson(round(share * row.total), row.total),
            )
            for row in (model.micro, *model.phenomena)
        ]
        macro = statistics.mean([row.accuracy for row in rows[1:]])
        made.append(
            replace(
                model, label=f"{recipe}-{seed}", model=f"{recipe}-{seed}", weights_sha256=None, recipe_sha256=recipe,
                seed=seed, micro=rows[0], phenomena=tuple(rows[1:]), macro=macro,
            )
        )  # fmt: skip
    return made


def test_seeds_of_two_recipes_are_compared_as_recipes(evaluated: tuple[Evaluation, Path]) -> None:
    model = evaluated[0].models[0]
    models = [*seeds(model, "raw", [0.70, 0.71, 0.72]), *seeds(model, "l2t", [0.80, 0.81, 0.82])]
    alone = [
        Result(m.label, Path(), replace(evaluated[0], models=(m,), comparisons=(), samples_file=None))
        for m in models
    ]
    (merged,), _ = merge(alone)
    said = conclusions(merged)
    assert len(said) == 3
    assert (
        "3 seeds of the recipe of raw-0 score 70.0 to 72.0% on probes (standard deviation 1.0 points)"
        in said[0]
    )
    assert "Over 3 and 3 seeds, the recipe of l2t-0 scores +10.0 points" in said[2]
    assert "the two recipes differ" in said[2]
