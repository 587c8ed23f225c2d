"""The model card: its facts and scores, metadata the Hub's parser accepts, code that runs, hostile text."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from tiny_release import TinyRelease
from tokenizers import Tokenizer

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import read_evaluation
from l2t_hub.publish.cards import (
    PROMPT,
    collection_description,
    collection_note,
    curve,
    refresh_model_card,
    usage,
    write_card_again,
    write_model_card,
)
from l2t_hub.publish.scores import interval, points
from l2t_hub.publish.stage import stage
from l2t_hub.publish.validate import validate
from l2t_hub.records.card_text import BEGIN, END

Copy = Callable[[Path], Path]
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def card(tiny: TinyRelease, copied: Copy) -> Path:
    return write_model_card(
        copied(tiny.model),
        repo="lab/tiny-l2t",
        dataset="lab/tiny-data",
        dataset_revision=REVISION,
        scores=[tiny.scores],
        repos={"tiny-raw": "lab/tiny-raw"},
    )


def test_the_hubs_parser_reads_the_front_matter(card: Path, tiny: TinyRelease) -> None:
    data = ModelCard.load(card).data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert (data.license, data.language, data.datasets) == ("apache-2.0", ["en"], ["lab/tiny-data"])
    assert data.base_model is None
    assert "base_model" not in yaml.safe_load(card.read_text().split("---")[1])
    assert {"l2t", "trained-from-scratch", "mixture-disjoint"} <= set(data.tags)
    model = read_evaluation(tiny.scores).models[1]
    by_name = {result.metric_name: result for result in data.eval_results}
    assert data.model_name == "tiny-l2t"
    assert len(by_name) == 2 + len(model.phenomena)
    macro = by_name["accuracy, mean of phenomena"]
    assert macro.metric_value == round(model.macro.value, 4)
    assert macro.metric_args == {
        "low": round(model.macro.low, 4),
        "high": round(model.macro.high, 4),
        "level": 0.95,
    }
    for row in model.phenomena:
        result = by_name[f"accuracy, {row.phenomenon}"]
        assert result.metric_value == round(row.accuracy.value, 4)
        assert (result.dataset_name, result.dataset_config) == ("L2T probes", row.phenomenon)
        assert result.dataset_args == {
            "examples": 3,
            "harness": read_evaluation(tiny.scores).protocol.harness_version,
        }


def test_the_card_states_every_fact_of_the_training(card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    record = json.loads((card.parent / "training.json").read_text(encoding="utf-8"))
    config = json.loads((card.parent / "config.json").read_text(encoding="utf-8"))
    for key, value in record["recipe"]["train"].items():
        assert f"| `{key}` | {'none' if value is None else value} |" in text
    facts = [
        f"| parameters | {record['parameters']:,} |",
        f"| seed | {record['recipe']['seed']} |",
        f"| training tokens | {record['tokens']:,} (",
        f"| layers | {config['num_hidden_layers']} |",
        f"| head dimension | {config['head_dim']} |",
        f"| precision used | {record['precision']} |",
        f"| optimizer | {record['optimizer']} |",
        record["hardware"]["processor"],
        f"torch {record['versions']['torch']}",
        "trained from scratch",
        "**This is a demonstration.**",
        "![Training and validation loss over the tokens seen](loss.png)",
        f"[lab/tiny-data](https://huggingface.co/datasets/lab/tiny-data), revision `{REVISION}`",
        record["dataset_fingerprint"],
        record["fingerprint"],
        sha256_of(card.parent / "model.safetensors"),
        "arXiv",
        "2601.03448",
        "l2t reproduce lab/tiny-l2t",
        "https://example.org/text",
    ]
    assert [fact for fact in facts if fact not in text] == []
    recipe = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    assert recipe == record["recipe"]
    last = json.loads((card.parent / "train_log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert f"| {last['step']} | {last['tokens']:,} |" in text


def test_scores_have_intervals_baseline_and_protocol(card: Path, tiny: TinyRelease) -> None:
    text = card.read_text(encoding="utf-8")
    report = read_evaluation(tiny.scores)
    baseline, model = report.models
    comparison = report.comparisons[0]
    for mine, other, gain in zip(model.phenomena, baseline.phenomena, comparison.phenomena, strict=True):
        cells = [interval(mine.accuracy), interval(other.accuracy), points(gain.difference)]
        assert f"| {mine.phenomenon} | 3 | {' | '.join(cells)} |" in text
    task = report.protocol.tasks[0]
    for fact in (
        f"lm-evaluation-harness {report.protocol.harness_version}",
        f"Prefix token: `{model.prefix_token}` (id {model.prefix_id})",
        "| version | shots | metric | target delimiter |",
        f"`{task.task}`",
        "Only the first 3 examples of each task were used.",
        f"[{comparison.baseline}](https://huggingface.co/lab/tiny-raw)",
        str(model.weights_sha256),
        "`eval/probes.json` and `eval/probes.samples.jsonl`",
    ):
        assert fact in text, fact
    for name in ("probes.json", "probes.samples.jsonl"):
        assert (card.parent / "eval" / name).read_bytes() == (tiny.scores.parent / name).read_bytes()


def test_the_card_of_a_baseline_names_the_models_compared_with_it(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.baseline)
    text = write_model_card(directory, repo="lab/tiny-raw", scores=[tiny.scores]).read_text(encoding="utf-8")
    macro = read_evaluation(tiny.scores).comparisons[0].macro
    assert (
        f"This model is the baseline for `tiny-l2t`, which differs from it by {points(macro)} points." in text
    )
    assert "had not been published" in text


def test_the_usage_code_runs(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = re.search(
        r"## How to use it\n\n```python\n(.*?)\n```", card.read_text(encoding="utf-8"), re.DOTALL
    )
    assert lines is not None
    assert lines[1] == usage("lab/tiny-l2t")
    assert len(lines[1].splitlines()) == 5
    # In the parent of a folder `lab`, transformers takes the repo name for a path, so nothing is downloaded.
    monkeypatch.chdir(card.parents[2])
    output = io.StringIO()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(output):
        exec(compile(lines[1], "the card", "exec"), names)
    trained_with = Tokenizer.from_file(str(card.parent / "tokenizer.json"))
    assert names["inputs"]["input_ids"][0].tolist() == trained_with.encode(PROMPT).ids, "as it was trained"
    assert "The old man walked down to the river" in output.getvalue()
    assert output.getvalue().startswith("<s>")


def test_the_card_passes_validation(card: Path) -> None:
    staged = stage(card.parent)
    assert {"README.md", "eval/probes.json", "loss.png", "model.safetensors"} <= set(staged.paths())
    assert validate(staged)["datasets"] == ["lab/tiny-data"]


def test_writing_the_card_again_gives_the_same_bytes(card: Path, tiny: TinyRelease) -> None:
    before = card.read_bytes()
    again = write_model_card(
        card.parent,
        repo="lab/tiny-l2t",
        dataset="lab/tiny-data",
        dataset_revision=REVISION,
        scores=[card.parent / "eval" / "probes.json"],
        repos={"tiny-raw": "lab/tiny-raw"},
    )
    assert again.read_bytes() == before


def test_a_card_written_again_shows_the_scores_in_the_directory(card: Path) -> None:
    (card.parent / "eval" / "notes.json").write_text("[]", encoding="utf-8")
    write_model_card(card.parent, repo="lab/tiny-l2t")
    assert "### L2T probes" in card.read_text(encoding="utf-8")
    (card.parent / "eval" / "probes.json").unlink()
    write_model_card(card.parent, repo="lab/tiny-l2t")
    assert "Not evaluated yet." in card.read_text(encoding="utf-8")


def test_scores_are_kept_under_the_name_of_their_suite(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.model)
    named = directory.parent / "mine.json"
    report = json.loads(tiny.scores.read_text(encoding="utf-8"))
    named.write_text(json.dumps(report | {"samples_file": "mine.samples.jsonl"}), encoding="utf-8")
    samples = (tiny.scores.parent / "probes.samples.jsonl").read_bytes()
    (directory.parent / "mine.samples.jsonl").write_bytes(samples)
    write_model_card(directory, scores=[named])
    assert sorted(file.name for file in (directory / "eval").iterdir()) == [
        "probes.json",
        "probes.samples.jsonl",
    ]
    assert read_evaluation(directory / "eval" / "probes.json").samples_file == "probes.samples.jsonl"


def test_the_card_of_a_directory_names_no_repo(tiny: TinyRelease, copied: Copy) -> None:
    text = write_model_card(copied(tiny.baseline)).read_text(encoding="utf-8")
    assert "# tiny-l2t\n" in text
    assert "Replace `tiny-l2t` with the path of this directory" in text
    assert "huggingface.co" not in text.partition("```yaml")[0]


def test_the_card_of_a_raw_model_claims_no_tasks(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.baseline)
    record = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    record["recipe"]["mixture"] = {"scheme": "raw", "task": None, "tasks": None, "modules": []}
    (directory / "training.json").write_text(json.dumps(record), encoding="utf-8")
    card = ModelCard.load(write_model_card(directory))
    assert "It was trained on raw text only" in card.text
    assert "It was trained on *language learning tasks*" not in card.text
    assert "word lists of the tasks" not in card.text
    assert card.data.tags == ["l2t-baseline", "trained-from-scratch", "mixture-raw"]


def test_the_owners_text_stays_and_an_edited_card_is_not_overwritten(tiny: TinyRelease, copied: Copy) -> None:
    card = write_model_card(copied(tiny.model))
    mine = card.read_text(encoding="utf-8").replace(f"{BEGIN}\n", f"{BEGIN}\nTrained at the mill.\n")
    card.write_text(mine, encoding="utf-8")
    said: list[str] = []
    refresh_model_card(card.parent, [tiny.scores], say=said.append)
    text = card.read_text(encoding="utf-8")
    assert f"{BEGIN}\n\nTrained at the mill.\n\n{END}\n" in text
    assert "### L2T probes" in text
    assert not said
    card.write_text(text.replace("## Training", "## Teaching"), encoding="utf-8")
    edited = card.read_bytes()
    refresh_model_card(card.parent, say=said.append)
    assert card.read_bytes() == edited
    assert f"`l2t card {card.parent}` writes it again" in said[0]
    assert write_card_again(card.parent) == (card, card.with_name("README.md~"))
    assert card.with_name("README.md~").read_bytes() == edited
    assert "Trained at the mill." in card.read_text(encoding="utf-8")


def test_the_licence_is_that_of_the_text_or_the_one_given(tiny: TinyRelease, copied: Copy) -> None:
    card = write_model_card(copied(tiny.model))
    assert ModelCard.load(card).data.license == "apache-2.0"
    write_card_again(card.parent, "odc-by")
    write_card_again(card.parent)
    assert ModelCard.load(card).data.license == "odc-by"
    record = json.loads((card.parent / "training.json").read_text(encoding="utf-8"))
    record["recipe"]["source"]["license"] = None
    (card.parent / "training.json").write_text(json.dumps(record), encoding="utf-8")
    card.unlink()
    write_model_card(card.parent)
    assert ModelCard.load(card).data.license == "unknown"


def test_hostile_text_stays_text(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.model)
    record = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) `a` | b\n---\n# Heading\n<img src=x onerror=y>"
    record["recipe"]["description"] = evil
    record["recipe"]["source"] |= {
        "title": evil,
        "url": "javascript:alert(1)",
        "license": "mit\n---\nevil: yes",
    }
    record["hardware"]["processor"] = " ".join(evil.split())
    record["recipe"]["tokenizer"]["name"] = "a`b | <i>c"
    (directory / "training.json").write_text(json.dumps(record), encoding="utf-8")
    scores = json.loads(tiny.scores.read_text(encoding="utf-8"))
    text = json.dumps(scores).replace('"tiny-raw"', json.dumps("<b>raw</b> | [y](z)"))
    hostile = directory.parent / "probes.json"
    hostile.write_text(text, encoding="utf-8")
    (directory.parent / "probes.samples.jsonl").write_bytes(
        (tiny.scores.parent / "probes.samples.jsonl").read_bytes()
    )

    plain = write_model_card(copied(tiny.baseline), repo="lab/x", scores=[tiny.scores])
    card = write_model_card(directory, repo="lab/x", scores=[hostile])
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(ModelCard.load(card).text)
    flat = [inner for token in tokens for inner in (token, *(token.children or []))]
    markup = [token.content for token in flat if token.type in ("html_block", "html_inline")]
    assert [content for content in markup if not content.startswith("<!-- l2t: ")] == []
    assert not [token for token in flat if "javascript" in str(token.attrs.get("href", ""))]
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings == [t.tag for t in markdown.parse(ModelCard.load(plain).text) if t.type == "heading_open"]
    rows = [inner.content for token in tokens if token.type == "inline" for inner in token.children or []]
    assert any("<script>alert(1)</script>" in row for row in rows), "the text itself is still shown"
    assert "evil" not in ModelCard.load(card).data.to_dict()


def test_scores_of_other_weights_are_refused(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.model)
    (directory / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match="no scores of the weights in"):
        write_model_card(directory, repo="lab/tiny-l2t", scores=[tiny.scores])
    assert not (directory / "README.md").exists()


def test_scores_of_the_same_name_and_other_weights_are_refused(tiny: TinyRelease, copied: Copy) -> None:
    """A name is no proof: anyone can train another model and call it the same."""
    directory = copied(tiny.model)
    report = json.loads(tiny.scores.read_text(encoding="utf-8"))
    file = directory.parent / "probes.json"
    for digest, reason in (
        ("ab" * 32, "those of lab/tiny-l2t are of other weights (SHA-256 abababababab, not "),
        (None, "the report's scores of lab/tiny-l2t do not say which weights were scored"),
    ):
        report["models"][1] |= {"model": "lab/tiny-l2t@main", "weights_sha256": digest}
        file.write_text(json.dumps(report | {"samples_file": None}), encoding="utf-8")
        with pytest.raises(UserError, match=re.escape(reason)):
            write_model_card(directory, repo="lab/tiny-l2t", scores=[file])
    assert not (directory / "README.md").exists()


def test_a_model_evaluated_under_its_hub_name_is_found(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.model)
    report = json.loads(tiny.scores.read_text(encoding="utf-8"))
    report["models"][1] |= {"model": "lab/tiny-l2t", "revision": REVISION}
    file = directory.parent / "probes.json"
    file.write_text(json.dumps(report | {"samples_file": None}), encoding="utf-8")
    text = write_model_card(directory, repo="lab/tiny-l2t", scores=[file]).read_text(encoding="utf-8")
    assert f"L2T probes, measured on revision `{REVISION}` with weights `" in text


def test_wrong_arguments_are_clear_errors(tiny: TinyRelease, copied: Copy, tmp_path: Path) -> None:
    directory = copied(tiny.model)
    with pytest.raises(UsageError, match="not a valid repo name"):
        write_model_card(directory, repo="no-namespace")
    with pytest.raises(UsageError, match="dataset lab/x/y"):
        write_model_card(directory, repo="lab/a", dataset="lab/x/y")
    with pytest.raises(UserError, match=r"training\.json is missing"):
        write_model_card(tmp_path, repo="lab/a")
    lone = directory.parent / "probes.json"
    lone.write_bytes(tiny.scores.read_bytes())
    with pytest.raises(UserError, match=r"probes\.samples\.jsonl, is missing"):
        write_model_card(directory, repo="lab/a", scores=[lone])


def test_the_curve_keeps_both_ends_and_merges_the_losses_of_a_step() -> None:
    log = [{"step": 0, "eval_loss": 9.0, "tokens": 0}]
    for step in range(1, 101):
        log.append({"step": step, "loss": 9 - step / 50, "tokens": step * 8})
    log.append({"step": 100, "eval_loss": 7.5, "tokens": 800})
    points_shown = curve(log)
    assert len(points_shown) == 10
    assert points_shown[0] == {"step": 0, "loss": None, "eval_loss": 9.0, "tokens": 0}
    assert points_shown[-1] == {"step": 100, "loss": 7.0, "eval_loss": 7.5, "tokens": 800}
    assert curve(log[:3]) == [{"step": 0, "loss": None, "eval_loss": 9.0, "tokens": 0}, *curve(log[1:3])]


def test_collection_texts_respect_the_hubs_limits(tiny: TinyRelease) -> None:
    assert collection_description("tiny", "model", tiny.model) == "L2T: tiny. A release for tests."
    assert collection_description("tiny", "dataset", tiny.dataset) == "L2T: tiny. A release for tests."
    assert collection_description("tiny", "space", ".") == "L2T: tiny."
    long = collection_description("word " * 100, "space", ".")
    assert len(long) <= 150
    assert long.endswith("word…")
    note = collection_note("model", tiny.model)
    parameters = json.loads((tiny.model / "training.json").read_text(encoding="utf-8"))["parameters"]
    assert f"{parameters:,} parameters" in note
    assert "scheme disjoint" in collection_note("dataset", tiny.dataset)
    assert (
        max(
            len(collection_note(k, d))
            for k, d in (("dataset", tiny.dataset), ("space", "."), ("model", tiny.model))
        )
        <= 500
    )
