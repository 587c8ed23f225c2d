"""What is measured while a model trains: the held-out text, the losses, and that nothing of it changes the model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import LENGTH, tiny_recipe, write_packed
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from l2t_hub.corpus.source import open_source
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.held_out import (
    PASSAGE_CHARACTERS,
    held_out_file,
    held_out_from,
    make_held_out,
    read_held_out,
)
from l2t_hub.evaluate.training_curves import measurements
from l2t_hub.mixture import is_held_out
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.tasks.registry import TASKS
from l2t_hub.train import train
from l2t_hub.train.locate import DatasetLocation, locate
from l2t_hub.train.training_log import read_log

WEIGHTS = "model.safetensors"


def with_keys(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    tree = recipe.resolved()
    return recipe_from_tree({**tree, **{name: {**tree[name], **keys} for name, keys in sections.items()}})


@pytest.fixture(scope="module")
def dataset(packed: Path) -> DatasetLocation:
    """The tiny dataset, recorded as one of the bundled sample."""
    located = locate(packed)
    source = {**located.manifest.source, "contents": open_source(tiny_recipe()).contents}
    recipe = {**located.manifest.recipe, "seed": 42, "validation": tiny_recipe().resolved()["validation"]}
    manifest = located.manifest.model_copy(update={"source": source, "recipe": recipe})
    return replace(located, manifest=manifest)


@pytest.fixture(scope="module")
def held_out(dataset: DatasetLocation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The held-out text of four documents."""
    path = tmp_path_factory.mktemp("held-out") / "new" / "text.jsonl"
    make_held_out(with_keys(tiny_recipe(), evaluation={"held_out_documents": 4}), path)
    return path


def test_the_text_is_of_held_out_documents_and_of_every_task(
    held_out: Path, dataset: DatasetLocation
) -> None:
    recipe = tiny_recipe()
    rows = [json.loads(line) for line in held_out.read_text().splitlines()[1:]]
    documents = {d.id: d for d in open_source(recipe).read(0)}
    used = {row["document_id"] for row in rows}
    assert len(used) == 4
    assert all(is_held_out(recipe.seed, documents[i], recipe.validation.share) for i in used)
    for row in rows:
        if row["part"] == "raw":
            text = documents[row["document_id"]].text
            assert text.startswith(row["text"])
            assert len(row["text"]) == len(text) or row["text"][-1] in ".!?\"'”’"
            assert len(row["text"]) <= PASSAGE_CHARACTERS
    assert list(read_held_out(held_out, dataset).texts) == ["raw", *TASKS]


@pytest.mark.parametrize(
    "keys",
    [
        {"mixture": {"scheme": "single", "task": "typo", "raw_share": None, "unit": None}},
        {"build": {"partitions": 3}},
        {"tokenizer": {"vocab_size": 900}},
    ],
)
def test_mixture_partitions_and_tokenizer_have_no_say(
    keys: dict[str, Any], held_out: Path, dataset: DatasetLocation, tmp_path: Path
) -> None:
    recipe = with_keys(tiny_recipe(), evaluation={"held_out_documents": 4})
    tree = {**recipe.resolved(), **{name: {**recipe.resolved()[name], **k} for name, k in keys.items()}}
    tree["mixture"] = {key: value for key, value in tree["mixture"].items() if value is not None}
    other = recipe_from_tree(tree)
    make_held_out(other, tmp_path / "text.jsonl")
    assert (tmp_path / "text.jsonl").read_bytes() == held_out.read_bytes()
    assert held_out_file(tmp_path, other, dataset) == held_out_file(tmp_path, recipe, dataset)


def test_text_of_another_seed_is_refused(held_out: Path, dataset: DatasetLocation) -> None:
    recipe = {**dataset.manifest.recipe, "seed": 43}
    other = replace(dataset, manifest=dataset.manifest.model_copy(update={"recipe": recipe}))
    with pytest.raises(UsageError, match="another source, or with another seed or share"):
        read_held_out(held_out, other)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: cannot be read as held-out text"),
        ('{"held_out_from": 3}', "line 1: held_out_from must be"),
        ('{"held_out_from": "FROM"}\n{"part": "raw"}', "line 2: document_id is missing"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    content: str, problem: str, dataset: DatasetLocation, tmp_path: Path
) -> None:
    recipe, contents = dataset.manifest.recipe, dataset.manifest.source["contents"]
    decided = held_out_from(recipe["seed"], contents, recipe["validation"])
    (tmp_path / "text.jsonl").write_text(content.replace("FROM", decided))
    with pytest.raises(UserError, match=problem):
        read_held_out(tmp_path / "text.jsonl", dataset)


def test_a_source_without_held_out_documents_is_measured_on_nothing(
    dataset: DatasetLocation, tmp_path: Path
) -> None:
    recipe = with_keys(tiny_recipe(), validation={"share": 0.0})
    tree = {**dataset.manifest.recipe, "validation": recipe.resolved()["validation"]}
    located = replace(dataset, manifest=dataset.manifest.model_copy(update={"recipe": tree}))
    said: list[str] = []
    (measurement,) = measurements(recipe, located, tmp_path / "text.jsonl", said.append)
    assert measurement.measure(None, None, True) == {}
    assert "no text, since no document is held out" in said[0]


@pytest.fixture(scope="module")
def plain(dataset: DatasetLocation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny_recipe(), dataset, tmp_path_factory.mktemp("plain") / "model").out


@pytest.fixture(scope="module")
def measured(dataset: DatasetLocation, held_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measured") / "model"
    return train(watched(), dataset, out, measurements=measures(dataset, held_out)).out


def watched() -> Recipe:
    return with_keys(tiny_recipe(), evaluation={"pairs_steps": 5})


def measures(dataset: DatasetLocation, held_out: Path) -> tuple[Any, ...]:
    return measurements(watched(), dataset, held_out, lambda line: None)


def test_measuring_changes_no_bit_of_the_model(plain: Path, measured: Path) -> None:
    assert (measured / WEIGHTS).read_bytes() == (plain / WEIGHTS).read_bytes()
    logs = [
        [(r["step"], r.get("loss"), r.get("eval_loss")) for r in read_log(out / "train_log.jsonl")]
        for out in (plain, measured)
    ]
    assert logs[0] == [row for row in logs[1] if row[1:] != (None, None)]


def test_the_log_and_the_record_have_what_was_measured(measured: Path) -> None:
    log = read_log(measured / "train_log.jsonl")
    # eval_steps is 6 and pairs_steps 5, of 12 steps; the tasks are measured at the end.
    parts = {r["step"]: list(r["held_out"]) for r in log if "held_out" in r}
    assert parts == {0: ["raw"], 6: ["raw"], 12: ["raw", *TASKS]}
    assert [r["step"] for r in log if "pairs" in r] == [0, 5, 10, 12]
    record = TrainingRecord.read(measured)
    assert record.held_out is not None
    assert record.pairs is not None
    assert record.held_out["raw"].loss < log[0]["held_out"]["raw"]["loss"]
    assert record.pairs.suite == "probes"
    assert record.pairs.pairs == 864


def test_the_loss_is_that_of_the_finished_model_on_each_text(
    measured: Path, held_out: Path, dataset: DatasetLocation
) -> None:
    model = AutoModelForCausalLM.from_pretrained(measured).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(dataset.directory / "tokenizer")
    texts = read_held_out(held_out, dataset).texts["raw"]
    total, tokens = 0.0, 0
    for text in texts:
        ids = [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
        assert len(ids) > LENGTH  # read in several windows
        for start in range(0, len(ids) - 1, LENGTH - 1):
            window = torch.tensor([ids[start : start + LENGTH]])
            with torch.no_grad():
                total += float(model(input_ids=window, labels=window).loss) * (window.shape[1] - 1)
        tokens += len(ids) - 1
    found = (TrainingRecord.read(measured).held_out or {})["raw"]
    assert (found.texts, found.tokens) == (4, tokens)
    assert found.loss == pytest.approx(total / tokens, abs=1e-4)
    assert found.bits_per_byte == pytest.approx(
        total / sum(len(t.encode()) for t in texts) / 0.693147, rel=1e-3
    )


def test_a_continued_run_has_the_log_of_an_undisturbed_one(
    measured: Path, held_out: Path, dataset: DatasetLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.train.trainer import PackTrainer

    saved = PackTrainer._save_checkpoint

    def save_and_die(self: PackTrainer, *arguments: Any) -> None:
        saved(self, *arguments)
        if self.state.global_step == 8:
            raise SystemExit

    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(PackTrainer, "_save_checkpoint", save_and_die)
        with pytest.raises(SystemExit):
            train(watched(), dataset, out, measurements=measures(dataset, held_out))
    train(watched(), dataset, out, measurements=measures(dataset, held_out))
    assert (out / WEIGHTS).read_bytes() == (measured / WEIGHTS).read_bytes()

    def timeless(path: Path) -> list[dict[str, Any]]:
        times = ("seconds", "tokens_per_second")
        return [{k: v for k, v in r.items() if k not in times} for r in read_log(path / "train_log.jsonl")]

    assert timeless(out) == timeless(measured)


def test_weights_that_are_not_finite_stop_the_run(
    held_out: Path, dataset: DatasetLocation, tmp_path: Path
) -> None:
    data = write_packed(tmp_path / "data", {"train": 24, "validation": 0})
    (measurement, _) = measures(dataset, held_out)

    def measure(model: Any, tokenizer: Any, last: bool) -> dict[str, Any]:
        next(model.parameters()).data.fill_(float("nan"))
        return measurement.measure(model, tokenizer, last)

    with pytest.raises(UserError, match="at step 0 the held-out loss is nan") as stop:
        train(tiny_recipe(), data, tmp_path / "out", measurements=(replace(measurement, measure=measure),))
    assert "There is no checkpoint from before it" in str(stop.value.hint)
