"""A raw share in tokens: the solver, what a build reaches, and what the share must not depend on."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes, survey_of
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.dataset import token_survey
from l2t_hub.dataset.build import build
from l2t_hub.dataset.raw_share import solve_threshold
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError
from l2t_hub.mixture import uniform
from l2t_hub.plan import make_plan
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import read_manifest

documents = st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 9000)), min_size=1, max_size=60)


def share_at(survey: np.ndarray, threshold: float) -> float:
    raw = survey["draw"] < threshold
    return float(
        survey["raw_tokens"][raw].sum()
        / (survey["raw_tokens"][raw].sum() + survey["task_tokens"][~raw].sum())
    )


@given(documents, st.floats(0.01, 0.99))
def test_no_threshold_comes_closer_than_the_one_solved_for(
    rows: list[tuple[int, int]], target: float
) -> None:
    survey = survey_of(rows)
    threshold, solved_share = solve_threshold(survey, target)
    assert 0 < threshold < 1
    assert share_at(survey, threshold) == pytest.approx(solved_share)
    ends = np.concatenate([[0.0], np.sort(survey["draw"]), [1.0]])
    every = [share_at(survey, t) for t in (ends[:-1] + ends[1:]) / 2]
    assert abs(solved_share - target) == pytest.approx(min(abs(share - target) for share in every))


@given(documents, st.permutations(range(60)), st.floats(0, 1))
def test_the_order_of_documents_does_not_matter(
    rows: list[tuple[int, int]], order: list[int], target: float
) -> None:
    survey = survey_of(rows)
    shuffled = survey[[n for n in order if n < len(rows)]]
    assert solve_threshold(shuffled, target) == solve_threshold(survey, target)


@given(documents, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_every_raw_document(
    rows: list[tuple[int, int]], first: float, second: float
) -> None:
    survey = survey_of(rows)
    assert solve_threshold(survey, min(first, second))[0] <= solve_threshold(survey, max(first, second))[0]


def test_targets_of_zero_and_one_are_exact_and_no_document_is_no_error() -> None:
    survey = survey_of([(100, 200)] * 10)
    assert solve_threshold(survey, 0.0) == (0.0, 0.0)
    assert solve_threshold(survey, 1.0) == (1.0, 1.0)
    assert solve_threshold(survey[:0], 0.3) == (0.3, 0.3)


def realised(recipe: Recipe, out: Path) -> tuple[float, dict[str, Any]]:
    manifest = build_silently(recipe, out)
    assert verify(out).problems == []
    return manifest.mixture["raw_share"]["tokens"], manifest.mixture["solved"]


@pytest.mark.parametrize("target", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_small_source_comes_as_close_as_whole_documents_allow(
    make_recipe: RecipeFactory, tmp_path: Path, target: float
) -> None:
    """180 documents of about 0.3% each, and every one in the sample."""
    keys = {"mixture.unit": "tokens", "mixture.raw_share": target}
    share, solved = realised(make_recipe(keys), tmp_path / "out")
    assert abs(share - target) < 0.005
    assert (solved["documents"], solved["calibrated"], solved["complete"]) == (180, 180, True)
    assert solved["predicted"] == pytest.approx(share, abs=0.005)
    assert "below the threshold" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_without_sequences_tokens_are_those_encoded(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    share, _ = realised(make_recipe({"mixture.unit": "tokens", "build.packed": False}), tmp_path / "out")
    assert abs(share - 0.5) < 0.005


def test_a_document_is_raw_if_its_own_draw_is_under_the_threshold(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    build_silently(make_recipe({"mixture.unit": "tokens"}), tmp_path / "out")
    threshold = read_manifest(tmp_path / "out").mixture["solved"]["threshold"]
    for view, raw in (("raw", True), ("examples", False)):
        for path in (tmp_path / "out" / "data" / view).rglob("*.parquet"):
            for name in pq.read_table(path, columns=["document_id"]).column(0).to_pylist():
                assert (uniform(42, name, "raw") < threshold) is raw


def test_a_source_too_large_to_survey_is_sampled_and_the_card_says_so(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_survey, "SURVEYED", 90)
    monkeypatch.setattr(token_survey, "CALIBRATED", 30)
    share, solved = realised(make_recipe({"mixture.unit": "tokens"}), tmp_path / "out")
    assert (solved["documents"], solved["calibrated"], solved["complete"]) == (90, 30, False)
    assert abs(share - 0.5) < 0.1, "90 documents predict no better"
    assert "the first 90 documents" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_resumed_and_unchanged_builds_do_not_survey_again(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    tokens = make_recipe({"mixture.unit": "tokens"})
    build_silently(tokens, tmp_path / "out")
    expected = hashes(tmp_path / "out")
    reporter = RecordingReporter()
    build(tokens, tmp_path / "out", workers=1, progress=reporter)
    assert "estimating" not in reporter.text
    victim = next((tmp_path / "out/data/packed").glob("train-00001-*"))
    victim.write_bytes(b"")
    build(tokens, tmp_path / "out", workers=1, progress=reporter)
    assert "estimating" not in reporter.text
    assert "2 of 3 partitions are already finished" in reporter.text
    assert hashes(tmp_path / "out") == expected
    build(
        make_recipe({"mixture.unit": "tokens", "mixture.raw_share": 0.4}), tmp_path / "out", progress=reporter
    )
    assert "estimating" in reporter.text
    assert "mixture.raw_share changed from 0.5 to 0.4" in reporter.text


def test_a_share_in_documents_needs_no_survey(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    reporter = RecordingReporter()
    manifest = build(make_recipe({"source.limit": 30}), tmp_path / "out", workers=1, progress=reporter)
    assert manifest.mixture["solved"] is None
    assert "estimating" not in reporter.text


@pytest.mark.parametrize(
    "mixture", [{"scheme": "raw"}, {"scheme": "shared"}, {"scheme": "single", "task": "one"}]
)
def test_a_unit_is_refused_where_there_is_no_share(mixture: dict[str, str]) -> None:
    tree = {"name": "t", "source": {"path": "x"}, "mixture": {**mixture, "unit": "tokens"}}
    with pytest.raises(UsageError, match=r"`mixture\.unit` applies only to scheme disjoint"):
        recipe_from_tree(tree)
    with pytest.raises(UsageError, match="must be 'documents' or 'tokens'"):
        recipe_from_tree(json.loads(json.dumps(tree).replace('"tokens"', '"token"')))


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize(("target", "seed"), [(0.5, 42), (0.5, 7), (0.25, 1), (0.75, 2)])
def test_ten_million_words_of_real_text_come_within_half_a_percent(
    shared_data: Path, tmp_path: Path, target: float, seed: int
) -> None:
    tree = {
        "name": "t",
        "seed": seed,
        "source": {"path": str(shared_data / "gutenberg" / "part-0.parquet")},
        "tokenizer": {"name": str(shared_data / "tokenizer-32k")},
        "mixture": {"raw_share": target, "unit": "tokens"},
        "build": {"raw": "none", "examples": "none", "partitions": 4},
    }
    manifest = build_silently(recipe_from_tree(tree), tmp_path / "out", workers=2)
    assert abs(manifest.mixture["raw_share"]["tokens"] - target) < 0.005
    assert manifest.mixture["solved"]["calibrated"] == 800


def test_a_plan_states_the_share_in_both_units(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    tokens = make_recipe({"mixture.unit": "tokens", "mixture.raw_share": 0.4})
    plan = make_plan([tokens]).releases[0]
    assert plan.scheme == "disjoint, 40% of tokens raw"
    assert plan.data.raw_tokens is not None
    assert plan.data.task_tokens is not None
    assert abs(plan.data.raw_tokens / (plan.data.raw_tokens + plan.data.task_tokens) - 0.4) < 0.01
    note = re.search(r"For 40% raw tokens, about (\d+)% of the documents are raw text\.", plan.data.note)
    assert note is not None
    assert (
        abs(int(note[1]) / 100 - build_silently(tokens, tmp_path / "out").mixture["raw_share"]["documents"])
        < 0.03
    )
