"""The dataset card: everything a reader needs, and the repo name once the dataset has one."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt
from tiny_release import TinyRelease, make_dataset, tiny_recipe

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError
from l2t_hub.publish.cards import name_dataset
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.tasks import TASKS

Copy = Callable[[Path], Path]


def section(text: str, heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def test_the_card_tells_a_reader_what_they_need(tiny: TinyRelease) -> None:
    manifest = read_manifest(tiny.dataset)
    card = DatasetCard.load(tiny.dataset / "README.md")
    mixture = section(card.text, "Mixture")
    assert "a raw share of 0.3 of the documents" in mixture
    assert f"{100 * manifest.mixture['raw_share']['tokens']:.2f}% of the tokens are raw text" in mixture
    for name, part in manifest.mixture["parts"].items():
        shown = "raw text" if name == "raw" else f"`{name}`"
        assert re.search(rf"\| {shown} \|.*\| {part['documents']:,} \|.*\| {part['tokens']:,} \|", mixture), (
            name
        )
    examples = section(card.text, "One example of each task")
    made_of = {entry.config for entry in manifest.shards if entry.split == "train"}
    assert re.findall(r"^### `(\w+)`", examples, re.MULTILINE) == [task for task in TASKS if task in made_of]
    assert len(made_of & set(TASKS)) >= 13, "the sample is large enough for nearly all tasks"
    ledger = section(card.text, "Ledger")
    for flow in manifest.ledger:
        for reason in flow["dropped"]:
            assert reason in ledger
    made_from = section(card.text, "Reproducibility")
    assert manifest.fingerprint in made_from
    source = section(card.text, "Source and licence")
    assert "Licence of the source text: `apache-2.0`" in source
    assert "WordNet 3.0, Copyright 2006 by Princeton University" in source
    assert "2601.03448" in section(card.text, "Citation")
    assert section(card.text, "Limitations").count("\n- ") >= 3
    use = section(card.text, "How to use it")
    for config in card.data.to_dict()["configs"]:
        assert f'load_dataset("tiny-l2t", "{config["config_name"]}")' in use


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Markup in the recipe or the documents is shown, not rendered."""
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) | b\n---\n# Heading\n<img src=x onerror=y>"
    text = (
        "```\n# Not a heading </textarea><b>bold</b> `````` and so on. " * 3
        + "It goes on for some more words. " * 4
    )
    lines = [json.dumps({"id": f"<i>{n}|`", "text": f"{n} {text}"}) for n in range(40)]
    (tmp_path / "evil.jsonl").write_text("\n".join(lines), encoding="utf-8")
    where = {
        "path": str(tmp_path / "evil.jsonl"),
        "title": evil,
        "url": "javascript:alert(1)",
        "license": "a|`b`<c>",
    }
    keys = {"packing": {"sequence_length": 1024}, "validation": {"near_duplicates": "keep"}}
    recipe = tiny_recipe("evil", source=where, **keys).model_copy(update={"description": evil})
    card = make_dataset(recipe, tmp_path / "data") / "README.md"
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(DatasetCard.load(card).text)
    flat = [inner for token in tokens for inner in (token, *(token.children or []))]
    assert not [token.content for token in flat if token.type in ("html_block", "html_inline")]
    assert not [token for token in flat if "javascript" in str(token.attrs.get("href", ""))]
    after = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    assert not [heading for heading in after if "eading" in heading]
    assert any("``````" in token.content for token in tokens if token.type == "fence"), (
        "examples are shown as they are"
    )


def test_wordnet_is_credited_only_if_its_words_are_used(tmp_path: Path) -> None:
    dataset = make_dataset(
        tiny_recipe("typos", mixture={"tasks": ["typo"]}, source={"limit": 30}), tmp_path / "data"
    )
    assert "WordNet" not in (dataset / "README.md").read_text(encoding="utf-8")


def test_a_released_dataset_is_loaded_by_its_repo_name(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    before = (directory / "README.md").read_text(encoding="utf-8")
    named = name_dataset(directory, "lab/tiny-data").read_text(encoding="utf-8")
    use = section(named, "How to use it")
    assert 'load_dataset("lab/tiny-data", "examples")  # the default' in use
    assert "l2t reproduce lab/tiny-data" in use
    assert "tiny-l2t" not in use
    assert named.replace(use, section(before, "How to use it")) == before, "nothing else changed"
    report = verify(directory)
    assert not report.problems, report.problems
    manifest = (directory / "l2t_manifest.json").read_bytes()
    assert name_dataset(directory, "lab/tiny-data").read_text(encoding="utf-8") == named
    assert (directory / "l2t_manifest.json").read_bytes() == manifest
    assert name_dataset(directory, "lab/other").read_text(encoding="utf-8") == named.replace(
        "lab/tiny-data", "lab/other"
    )


def test_a_dataset_with_a_repo_name_is_not_built_again(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    named = name_dataset(directory, "lab/tiny-data").read_bytes()
    lines: list[str] = []
    report = SilentReporter()
    report.message = lines.append  # type: ignore[method-assign]
    build(tiny_recipe("tiny-l2t"), directory, workers=1, progress=report)
    assert "nothing has changed" in lines[-1]
    assert (directory / "README.md").read_bytes() == named


def test_naming_a_dataset_repairs_an_outdated_hash_of_the_card(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    name_dataset(directory, "lab/tiny-data")
    tree = json.loads((directory / "l2t_manifest.json").read_text(encoding="utf-8"))
    tree["files"]["README.md"] = "0" * 64
    (directory / "l2t_manifest.json").write_text(json.dumps(tree), encoding="utf-8")
    assert verify(directory).problems
    name_dataset(directory, "lab/tiny-data")
    assert not verify(directory).problems


def test_a_card_without_the_section_is_an_error(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    (directory / "README.md").write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"the section 'How to use it'.* is missing"):
        name_dataset(directory, "lab/tiny-data")
