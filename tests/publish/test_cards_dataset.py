"""The dataset card: everything a reader needs, and the repo name once the dataset has one."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt
from tiny_release import TREE, TinyRelease, make_dataset, tiny_recipe

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.publish.cards import write_card_again
from l2t_hub.publish.naming import released_dataset
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.recipe.schema import SCOPES
from l2t_hub.records.card_text import BEGIN, END
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
    markup = [token.content.strip() for token in flat if token.type in ("html_block", "html_inline")]
    assert markup[:2] == [BEGIN, END]
    assert len(markup) == 3, "and the last line of the card"
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


def name_dataset(directory: Path, repo: str) -> Path:
    """Write the card and the manifest that a release would send."""
    for path, content in released_dataset(directory, repo, None).items():
        (directory / path).write_bytes(content)
    return directory / "README.md"


def without_last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[0]


def test_a_released_dataset_is_loaded_by_its_repo_name(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    before = (directory / "README.md").read_text(encoding="utf-8")
    named = name_dataset(directory, "lab/tiny-data").read_text(encoding="utf-8")
    use = section(named, "How to use it")
    assert 'load_dataset("lab/tiny-data", "examples")  # the default' in use
    assert "l2t reproduce lab/tiny-data" in use
    assert "tiny-l2t" not in use
    changed = without_last_line(named.replace(use, section(before, "How to use it")))
    assert changed == without_last_line(before), "nothing else changed"
    report = verify(directory)
    assert not report.problems, report.problems
    manifest = (directory / "l2t_manifest.json").read_bytes()
    assert name_dataset(directory, "lab/tiny-data").read_text(encoding="utf-8") == named
    assert (directory / "l2t_manifest.json").read_bytes() == manifest
    other = name_dataset(directory, "lab/other").read_text(encoding="utf-8")
    assert without_last_line(other) == without_last_line(named.replace("lab/tiny-data", "lab/other"))


def test_a_finished_dataset_is_not_built_again(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    named = (directory / "README.md").read_bytes()
    lines: list[str] = []
    report = SilentReporter()
    report.message = lines.append  # type: ignore[method-assign]
    build(tiny_recipe("tiny-l2t"), directory, workers=1, progress=report)
    assert "nothing has changed" in lines[-1]
    assert (directory / "README.md").read_bytes() == named


def test_a_card_written_again_repairs_its_outdated_hash(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    name_dataset(directory, "lab/tiny-data")
    tree = json.loads((directory / "l2t_manifest.json").read_text(encoding="utf-8"))
    tree["files"]["README.md"] = "0" * 64
    (directory / "l2t_manifest.json").write_text(json.dumps(tree), encoding="utf-8")
    assert verify(directory).problems
    write_card_again(directory)
    assert not verify(directory).problems


def test_the_owners_text_may_change_at_any_time_and_is_kept(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    card = directory / "README.md"
    own = "## Why\n\nFor a course on river engineering. <!-- not an end -->"
    card.write_text(
        card.read_text(encoding="utf-8").replace(f"{BEGIN}\n", f"{BEGIN}\n{own}\n"), encoding="utf-8"
    )
    assert not verify(directory).problems
    named = name_dataset(directory, "lab/tiny-data").read_text(encoding="utf-8")
    assert f"{BEGIN}\n\n{own}\n\n{END}\n" in named
    assert 'load_dataset("lab/tiny-data"' in named
    assert not verify(directory).problems
    report = SilentReporter()
    build(tiny_recipe("tiny-l2t", source={"license": "mit"}), directory, workers=1, progress=report)
    text = card.read_text(encoding="utf-8")
    assert f"{BEGIN}\n\n{own}\n\n{END}\n" in text
    assert "`mit`" in text


def test_a_card_edited_elsewhere_is_a_problem_with_a_remedy_and_is_kept(
    tiny: TinyRelease, copied: Copy
) -> None:
    directory = copied(tiny.dataset)
    card = directory / "README.md"
    edited = card.read_text(encoding="utf-8").replace("## Limitations", "## No limitations")
    card.write_text(edited, encoding="utf-8")
    (problem,) = verify(directory).problems
    assert problem.startswith("README.md: was edited outside your own section")
    assert "`l2t card DIR` writes it again" in problem
    assert write_card_again(directory) == (card, directory / "README.md~")
    assert not verify(directory).problems
    assert (directory / "README.md~").read_text(encoding="utf-8") == edited


def test_the_raw_card_claims_no_tasks(tmp_path: Path) -> None:
    recipe = recipe_from_tree({**TREE, "name": "tiny-raw", "mixture": {"scheme": "raw"}})
    raw = make_dataset(recipe, tmp_path / "raw")
    card = DatasetCard.load(raw / "README.md")
    assert "It has no tasks" in card.text
    assert "## One example" not in card.text
    assert "Examples are made by rules" not in card.text
    assert "Distractors" not in card.text
    assert card.data.tags == ["pre-training", "l2t-baseline"]
    assert card.data.annotations_creators == ["no-annotation"]


def test_the_card_has_the_keys_that_decide_the_dataset_and_no_others(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    shown = yaml.safe_load(fenced_yaml(DatasetCard.load(directory / "README.md").text))
    assert list(shown) == ["name", "description", "seed", *SCOPES["data"]]
    assert shown == json.loads((directory / "l2t_manifest.json").read_text(encoding="utf-8"))["recipe"]
    lines: list[str] = []
    report = SilentReporter()
    report.message = lines.append  # type: ignore[method-assign]
    before = (directory / "l2t_manifest.json").read_bytes()
    build(tiny_recipe("tiny-l2t", train={"max_steps": 7}), directory, workers=1, progress=report)
    assert [line.partition(": ")[2] for line in lines] == ["already finished, nothing has changed"]
    assert (directory / "l2t_manifest.json").read_bytes() == before


def fenced_yaml(text: str) -> str:
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def test_the_card_says_which_configurations_have_no_validation_split(tiny: TinyRelease) -> None:
    card = DatasetCard.load(tiny.dataset / "README.md")
    without = [
        row["config_name"]
        for row in card.data.to_dict()["configs"]
        if "validation" not in [files["split"] for files in row["data_files"]]
    ]
    assert without, "the test needs one"
    line = next(line for line in card.text.splitlines() if "no validation split" in line)
    assert re.findall(r"`(\w+)`", line) == without


def test_an_answer_is_shown_as_a_model_reads_it(tiny: TinyRelease) -> None:
    text = DatasetCard.load(tiny.dataset / "README.md").text
    half = section(text, "One example of each task").partition("### `half`")[2]
    answer = re.findall(r"```text\n(.*?)\n```", half, re.DOTALL)[1]
    assert "  " not in answer


def test_a_local_path_is_not_published(tmp_path: Path) -> None:
    text = tmp_path / "secret folder" / "river.txt"
    text.parent.mkdir()
    text.write_text(
        "\n\n".join(f"Line {n} of it. " + "It goes on for some more words. " * 6 for n in range(60))
    )
    texts = {"path": str(text), "title": None, "license": None, "url": None}
    dataset = make_dataset(tiny_recipe("mine", source=texts, mixture={"tasks": ["typo"]}), tmp_path / "data")
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "Source: a local text, river.txt." in card
    assert "secret" not in card
    assert "  path: river.txt\n" in card
    assert str(tmp_path) not in card
