"""Checkpoints of runs: which belong together, and their scores at equal tokens and equal compute."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from made_scores import evaluation

from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.merging import Result, merge
from l2t_hub.evaluate.training_runs import budgets, last_checkpoints, training_runs
from l2t_hub.report.curve_sheets import budget_sheet, curve_sections
from l2t_hub.report.sheet import Figure


def two_runs(
    folder: Path, small: tuple[int, ...] = (100, 200, 300), large: tuple[int, ...] = (150, 250)
) -> Evaluation:
    """A run of a model of a million parameters and one of two million, with checkpoints at these tokens."""
    shares: dict[str, float] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name, tokens, parameters in (("small", small, 10**6), ("large", large, 2 * 10**6)):
        for count in tokens:
            label = f"{name}@step-{count}"
            shares[label] = 0.5 + count / 1000
            facts[label] = {"model": f"org/{label}", "tokens": count, "step": count, "parameters": parameters}
    return evaluation(folder / "e.json", shares, facts)


def test_checkpoints_of_a_run_belong_together_by_recipe_and_seed_or_by_name(tmp_path: Path) -> None:
    made = two_runs(tmp_path)
    runs = training_runs(made)
    assert [(run.name, [c.tokens for c in run.checkpoints]) for run in runs] == [
        ("small", [100, 200, 300]),
        ("large", [150, 250]),
    ]
    assert runs[1].checkpoints[0].compute == 6 * 2 * 10**6 * 150
    by_seed = tuple(
        replace(
            m,
            model=f"/runs/{i}/checkpoints/checkpoint-{m.step}",
            recipe_sha256="r",
            seed=int("large" in m.label),
        )
        for i, m in enumerate(made.models)
    )
    assert [len(run.checkpoints) for run in training_runs(replace(made, models=by_seed))] == [3, 2]
    assert training_runs(replace(made, models=made.models[:1])) == []


def test_scores_at_equal_tokens_are_of_the_last_checkpoint_within_them(tmp_path: Path) -> None:
    made = two_runs(tmp_path)
    sheet = budget_sheet("probes", training_runs(made), "tokens")
    assert sheet is not None
    assert sheet.header == ("tokens", "small", "at", "large", "at")
    scores = {model.label: model.micro.accuracy.value for model in made.models}
    shown = [[c.value if isinstance(c, Figure) else c for c in row] for row in sheet.rows]
    assert shown == [
        ["200", scores["small@step-200"], None, scores["large@step-150"], "150"],
        ["250", scores["small@step-200"], "200", scores["large@step-250"], None],
    ]


def test_equal_compute_counts_parameters(tmp_path: Path) -> None:
    runs = training_runs(two_runs(tmp_path))
    assert budgets(runs, "compute") == [6 * 10**6 * 300]
    assert runs[0].within(6 * 10**6 * 300, "compute") == runs[0].checkpoints[2]
    assert runs[1].within(6 * 10**6 * 300, "compute") == runs[1].checkpoints[0]
    far = training_runs(two_runs(tmp_path, (1, 2), (500, 600)))
    assert budget_sheet("probes", far, "tokens") is None
    many = training_runs(two_runs(tmp_path, tuple(range(1, 30)), tuple(range(1, 30))))
    assert budgets(many, "tokens")[-1] == 29
    assert len(budgets(many, "tokens")) <= 8


def test_compute_counts_attention_where_every_model_has_its_shape(tmp_path: Path) -> None:
    made = two_runs(tmp_path)
    shaped = [replace(m, flops_per_token=7 * m.parameters) for m in made.models]
    whole = replace(made, models=tuple(shaped))
    assert [run.checkpoints[0].compute for run in training_runs(whole)] == [700 * 10**6, 7 * 2 * 150 * 10**6]
    (section,) = curve_sections(whole, plots=False)
    assert section.fine_print[0].startswith("Compute is 6N + 12LHQT")
    partly = replace(made, models=(made.models[0], *shaped[1:]))
    assert training_runs(partly)[1].checkpoints[0].compute == 6 * 2 * 10**6 * 150
    (section,) = curve_sections(partly, plots=False)
    assert section.fine_print[0].startswith("Compute is 6 × parameters × tokens, which leaves out attention")


def test_tables_have_the_last_checkpoints_and_the_first_runs_is_the_baseline(tmp_path: Path) -> None:
    made = two_runs(tmp_path)
    (merged,), _ = merge([Result("e", tmp_path / "e.json", made)])
    assert merged.models[0].label == "small@step-300"
    last = last_checkpoints(merged)
    assert [model.label for model in last.models] == ["small@step-300", "large@step-250"]
    assert [c.model for c in last.comparisons] == ["large@step-250"]
    (section,) = curve_sections(merged, plots=True)
    assert len(section.sheets) == 2
    assert set(section.plots) == {"tokens", "compute"}
    assert curve_sections(last, plots=False) == []
