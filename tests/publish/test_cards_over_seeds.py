"""The card of one seed of an experiment: recipes compared over their seeds, and the scored examples it takes along."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

import pytest
from tiny_release import TinyRelease

from l2t_hub.errors import UserError
from l2t_hub.evaluate import read_evaluation
from l2t_hub.evaluate.merging import Result, grouped, merge
from l2t_hub.evaluate.read_results import read_samples
from l2t_hub.evaluate.replicates import compare_recipes
from l2t_hub.evaluate.results import Evaluation, Sample, write_evaluation
from l2t_hub.publish.cards import write_model_card

Copy = Callable[[Path], Path]
RECIPES = {"tiny-raw": "a" * 64, "tiny-l2t": "b" * 64}


@pytest.fixture
def scores(tiny: TinyRelease, tmp_path: Path) -> Path:
    """Two seeds of each recipe: the first as they were scored, the second under other weights."""
    scored = read_evaluation(tiny.scores)
    samples = [sample for _, found in read_samples(tiny.scores, scored) for sample in found]
    models, copies = [], list[Sample]()
    for seed in (1, 2):
        for model in scored.models:
            weights = model.weights_sha256 if seed == 1 else f"{seed}{(model.weights_sha256 or '')[1:]}"
            label = f"{model.label}-seed{seed}"
            models.append(
                replace(
                    model, label=label, seed=seed, recipe_sha256=RECIPES[model.label], weights_sha256=weights
                )
            )
            copies += [replace(sample, model=label) for sample in samples if sample.model == model.label]
    (compared,) = scored.comparisons
    comparisons = [
        replace(compared, model=f"{compared.model}-seed{seed}", baseline=f"{compared.baseline}-seed1")
        for seed in (1, 2)
    ]
    evaluation = replace(scored, models=tuple(models), comparisons=tuple(comparisons))
    file = tmp_path / "probes.json"
    decisions = {label: list(group) for label, group in groupby(copies, key=lambda sample: sample.model)}
    compared_recipes = compare_recipes(evaluation.models, decisions, space=False)
    write_evaluation(replace(evaluation, recipes=compared_recipes), copies, file)
    return file


def test_recipes_are_compared_over_their_seeds_and_checkpoints_are_not(
    scores: Path, tiny: TinyRelease, copied: Copy
) -> None:
    text = write_model_card(copied(tiny.model), scores=[scores]).read_text(encoding="utf-8")
    (comparison,) = read_evaluation(scores).recipes
    assert "Over 2 and 2 seeds, tiny-l2t scores" in text
    assert "| phenomenon | tiny-l2t | SD | tiny-raw | SD | difference in points |" in text
    for row in (*comparison.phenomena, comparison.micro):
        assert f"| {100 * row.model:.1f} | 0.0 | {100 * row.baseline:.1f} | 0.0 | " in text
    assert "The intervals of the differences are over seeds and items together." in text
    assert "Difference from the baseline" not in text
    assert "One checkpoint of a recipe says little" not in text
    assert "was not measured" not in text.partition("## Limitations")[2]

    baseline = write_model_card(copied(tiny.baseline), scores=[scores]).read_text(encoding="utf-8")
    assert "Over 2 and 2 seeds, tiny-l2t scores" in baseline
    assert "This model is the baseline for" not in baseline


def test_a_release_takes_along_the_examples_of_its_model_and_the_baseline(
    scores: Path, tiny: TinyRelease, copied: Copy
) -> None:
    directory = copied(tiny.model)
    write_model_card(directory, scores=[scores])
    file = directory / "eval" / "probes.json"
    report = read_evaluation(file)
    assert asdict(replace(report, samples_sha256=None, samples_of=None)) == asdict(
        replace(read_evaluation(scores), samples_sha256=None)
    )
    assert report.samples_of == ("tiny-l2t-seed1", "tiny-raw-seed1")
    assert dict(read_samples(file, report)).keys() == set(report.samples_of)
    whole = dict(read_samples(scores, read_evaluation(scores)))
    assert all(found == whole[label] for label, found in read_samples(file, report))
    write_model_card(directory, scores=[file])
    assert read_evaluation(file) == report


def test_a_model_is_read_where_its_examples_are(scores: Path, tiny: TinyRelease, copied: Copy) -> None:
    files = []
    for model in (tiny.model, tiny.baseline):
        directory = copied(model)
        write_model_card(directory, scores=[scores])
        files.append(directory / "eval" / "probes.json")
    results = [Result(str(file), file, read_evaluation(file)) for file in reversed(files)]
    assert results[0].evaluation.samples_of == ("tiny-raw-seed1",)
    (merged,), notes = merge(results)
    assert notes == []
    assert merged.recipes == read_evaluation(scores).recipes
    assert all(comparison.paired for comparison in merged.comparisons if comparison.model == "tiny-l2t-seed1")

    (entries,), _ = grouped(results)
    assert {entry.label for entry in entries if entry.has_samples()} == {"tiny-raw-seed1", "tiny-l2t-seed1"}


def test_a_damaged_file_of_examples_is_an_error(scores: Path, tiny: TinyRelease, copied: Copy) -> None:
    scores.with_name("probes.samples.jsonl").write_text('{"model": "x"}\nnot JSON\n', encoding="utf-8")
    with pytest.raises(UserError, match="these are not scored examples"):
        write_model_card(copied(tiny.model), scores=[scores])


def test_scores_that_were_made_before_say_nothing_of_their_examples(tiny: TinyRelease) -> None:
    tree = json.loads(tiny.scores.read_text(encoding="utf-8"))
    assert "samples_of" not in tree or tree["samples_of"] is None
    evaluation: Evaluation = read_evaluation(tiny.scores)
    assert all(evaluation.has_samples(model.label) for model in evaluation.models)
