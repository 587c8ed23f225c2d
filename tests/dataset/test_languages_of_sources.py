"""Builds from text in other languages: German, Chinese, mixed text with and without a column, a user's own language."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecordingReporter

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import splitter
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import source_languages
from l2t_hub.dataset.build import build
from l2t_hub.dataset.partners import find_partners
from l2t_hub.errors import UsageError, UserError
from l2t_hub.plan import make_plan
from l2t_hub.recipe import Recipe, load_recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest, read_manifest
from l2t_hub.records.public_recipe import language_codes, public_recipe
from l2t_hub.reproduce.compare_dataset import pinned_recipe
from l2t_hub.tasks import TASKS, language

ITALIAN = (
    "Il vecchio battello parte alle sette e non aspetta nessuno. Mia sorella lo ha perso una volta, perché si era "
    "fermata a comprare tre pere. Ha guardato la barca diventare sempre più piccola. Poi ha mangiato tutte le pere."
)


def texts(code: str, count: int = 150) -> list[str]:
    """Documents of a language: sentences of its passages in random order."""
    about, rng = language(code).about, random.Random(code)
    sentences = splitter("sentencex", code)(f"{about.passage} {about.other}" if about.passage else ITALIAN)
    joiner = language(code).joiner
    return [
        joiner.join(rng.choices(sentences, k=rng.randrange(6, 18))) + f"{joiner}{n}." for n in range(count)
    ]


def source_file(path: Path, codes: Iterable[str], written: dict[str, str] | None = None) -> Path:
    rows = [
        {"id": f"{code}-{n}", "text": text, "lang": (written or {}).get(code, code)}
        for code in codes
        for n, text in enumerate(texts(code))
    ]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def recipe_of(path: Path, **sections: Any) -> Recipe:
    tree: dict[str, Any] = {
        "name": "own",
        "source": {"path": str(path)},
        "mixture": {"scheme": "shared"},
        "tokenizer": {"vocab_size": 1000},
        "packing": {"sequence_length": 1024},
        "blocks": {"tokens_per_block": 256, "min_words": 5},
        "validation": {"near_duplicates": "keep"},  # the documents share their sentences
    }
    for section, keys in sections.items():
        tree[section] = {**tree.get(section, {}), **keys}
    return recipe_from_tree(tree)


def built(path: Path, out: Path, **sections: Any) -> tuple[Manifest, str]:
    reporter = RecordingReporter()
    return build(recipe_of(path, **sections), out, workers=1, progress=reporter), reporter.text


def examples_of(out: Path, task: str) -> list[dict[str, Any]]:
    rows = [
        pq.read_table(path).to_pylist() for path in sorted((out / "data/examples" / task).glob("*.parquet"))
    ]
    return [row for table in rows for row in table]


def test_german_text_gets_german_questions_words_and_letters(tmp_path: Path) -> None:
    path = source_file(tmp_path / "de.jsonl", ["de"])
    manifest, said = built(path, tmp_path / "out", source={"language": "de"})
    german = language("de")
    assert "leaves out" not in said
    assert manifest.languages == {"de": {"name": "German", "left_out": {}}}
    assert {s.config for s in manifest.shards if s.view == "examples"} == set(TASKS)
    for row in examples_of(tmp_path / "out", "char_count"):
        assert any(question in row["prompt"] for question in german.instructions["char_count"])
        assert row["anchor"] in german.about.anchors
    words = {word for row in examples_of(tmp_path / "out", "random") for word in row["prompt"].split()}
    own = {word for text in texts("de") for word in text.split()}
    assert {word.lower() for word in words - own} <= {word.lower() for word in german.dictionary}
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "language:\n- de\n" in card
    assert "word lists of the tasks are in German. A text in another language gives poor examples." in card


def test_chinese_text_gives_examples_of_every_task_but_space(tmp_path: Path) -> None:
    path = source_file(tmp_path / "zh.jsonl", ["zh"])
    manifest, said = built(path, tmp_path / "out", source={"language": "zh"})
    assert "text in Chinese leaves out space (no spaces)" in said
    assert manifest.languages["zh"]["left_out"] == {"space": ["spaces"]}
    assert {s.config for s in manifest.shards if s.view == "examples"} == set(TASKS) - {"space"}
    assert "icu4py" in manifest.made_by
    for row in examples_of(tmp_path / "out", "half"):
        assert row["prompt"] + row["completion"] in "".join(texts("zh"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Text in Chinese has no spaces here. It is not used for space." in card


def test_text_in_another_language_than_the_recipes_says_what_to_change(tmp_path: Path) -> None:
    path = source_file(tmp_path / "zh.jsonl", ["zh"])
    with pytest.raises(UserError, match="gave no example") as raised:
        built(path, tmp_path / "out", blocks={"min_words": 20})
    assert "source.language must be that of the text (now en)" in str(raised.value)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_mixed_text_is_told_apart_by_a_column_or_by_detection_alike(tmp_path: Path, suffix: str) -> None:
    path = source_file(tmp_path / f"mixed.{suffix}", ["de", "zh", "fr"], {"de": "deu_Latn", "zh": "ZH-Hans"})
    keys = {"language": ("fr", "de", "zh")}
    build_keys = {"packed": False, "partitions": 2}
    by_column, _ = built(
        path, tmp_path / "column", source={**keys, "language_column": "lang"}, build=build_keys
    )
    detected, _ = built(path, tmp_path / "detected", source=keys, build=build_keys)
    assert list(by_column.languages) == ["fr", "de", "zh"]
    assert [s.sha256 for s in by_column.shards] == [s.sha256 for s in detected.shards]
    assert "py3langid" in detected.made_by
    assert "py3langid" not in by_column.made_by
    for row in examples_of(tmp_path / "column", "token_type"):
        code = row["document_id"].split("-")[0]
        assert any(q in row["prompt"] for kind in language(code).instructions.values() for q in kind)
    assert "language:\n- fr\n- de\n- zh\n" in (tmp_path / "column" / "README.md").read_text(encoding="utf-8")


def test_the_other_document_is_of_the_same_language(tmp_path: Path) -> None:
    path = source_file(tmp_path / "mixed.jsonl", ["de", "fr"])
    recipe = recipe_of(path, source={"language": ("de", "fr"), "language_column": "lang"})
    documents = [record for record in open_source(recipe).read(0) if isinstance(record, Document)]
    languages = source_languages(recipe)
    partners = find_partners(recipe, TASKS, languages, documents)
    for document in documents:
        split = "train" if partners.of(document.id, "train", document.language) else "validation"
        partner = partners.of(document.id, split, document.language)  # type: ignore[arg-type]
        assert partner is not None
        assert partner.document.id[:2] == document.id[:2]
        assert partner.document.id != document.id


def test_a_document_of_another_language_stops_the_build_or_is_counted(tmp_path: Path) -> None:
    path = source_file(tmp_path / "mixed.jsonl", ["de", "fr"], {"fr": "français"})
    source = {"language": "de", "language_column": "lang"}
    with pytest.raises(
        UserError, match=r"line 151: its language is 'français', which source.language does not name"
    ):
        built(path, tmp_path / "out", source=source)
    manifest, said = built(path, tmp_path / "out", source=source, build={"on_error": "drop"})
    assert "dropped 150 of 300 records: 150 another language" in said
    assert manifest.totals["train"]["raw_documents"] + manifest.totals["validation"]["raw_documents"] == 150


def test_a_language_without_data_leaves_out_the_tasks_that_need_some(tmp_path: Path) -> None:
    path = source_file(tmp_path / "it.jsonl", ["it"])
    manifest, said = built(path, tmp_path / "out", source={"language": "it"})
    left_out = {"char_count", "typo", "last", "random", "token_type"}
    assert set(manifest.languages["it"]["left_out"]) == left_out
    assert {s.config for s in manifest.shards if s.view == "examples"} == set(TASKS) - left_out
    assert "text in language it leaves out char_count (no questions), typo (no letters)" in said
    assert all(row["anchor"] in ("A:", "(A)", "A)", "A.", "") for row in examples_of(tmp_path / "out", "one"))


def own_language(folder: Path, words: str = "nave\nfaro\nmolo\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "language.yaml").write_text("name: Italian\n", encoding="utf-8")
    (folder / "dictionary.txt").write_text(words, encoding="utf-8")
    return folder


def test_a_users_language_is_a_folder_and_its_content_counts(tmp_path: Path) -> None:
    path, folder = source_file(tmp_path / "it.jsonl", ["it"]), own_language(tmp_path / "data" / "it")
    sections = {"source": {"language": str(folder)}, "mixture": {"scheme": "single", "task": "random"}}
    first, _ = built(path, tmp_path / "out", **sections)
    assert first.languages == {"it": {"name": "Italian", "left_out": {}}}
    prompts = " ".join(row["prompt"].lower() for row in examples_of(tmp_path / "out", "random"))
    assert all(word in prompts for word in ("nave", "faro", "molo"))
    assert language_codes(first.recipe) == ["it"]
    assert public_recipe(first.recipe)["source"]["language"] == "./it"
    moved = own_language(tmp_path / "elsewhere" / "it")
    there, _ = built(path, tmp_path / "there", **{**sections, "source": {"language": str(moved)}})
    assert there.fingerprint == first.fingerprint
    language_cache_clear()
    own_language(folder, "nave\nfaro\nmolo\nremo\n")
    again, said = built(path, tmp_path / "out", **sections)
    assert again.fingerprint != first.fingerprint
    assert "version of language it changed" in said


def language_cache_clear() -> None:
    """A process reads a language once; a new build is a new process."""
    from l2t_hub.tasks import languages

    languages._read.cache_clear()


def test_a_strangers_record_opens_no_language_folder(tmp_path: Path) -> None:
    path, folder = source_file(tmp_path / "it.jsonl", ["it"]), own_language(tmp_path / "it")
    sections = {"source": {"language": str(folder)}, "mixture": {"scheme": "single", "task": "random"}}
    built(path, tmp_path / "out", **sections)
    manifest = read_manifest(tmp_path / "out")
    with pytest.raises(UserError, match="a record of someone else opens no folder of this machine"):
        pinned_recipe(manifest, str(path), (), own=False)
    assert pinned_recipe(manifest, str(path), (), own=True).source.language == str(folder)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"source": {"language": "german"}}, "`source.language` must be a code of ISO 639 such as de"),
        ({"source": {"language": ()}}, "`source.language` must name at least one language"),
        ({"source": {"language": ("de", "deu")}}, "source.language: 'de' is listed twice"),
        ({"source": {"language": "./nowhere/it"}}, "source.language: there is no folder ./nowhere/it"),
        (
            {"source": {"language": ("de", "got")}},
            "source.language: the detector does not know got\nName a column with the language of each document",
        ),
        (
            {"source": {"language": "de"}, "blocks": {"sentences": "blingfire"}},
            "blocks.sentences: BlingFire is the paper's splitter for English; the text is in German",
        ),
        (
            {"source": {"language": "it"}, "mixture": {"scheme": "single", "task": "random"}},
            "source.language: random cannot be made from text in language it: no dictionary words",
        ),
    ],
)
def test_a_language_that_cannot_be_used_is_an_error_before_any_work(
    tmp_path: Path, keys: dict[str, Any], expected: str
) -> None:
    path = source_file(tmp_path / "de.jsonl", ["de"])
    with pytest.raises(UsageError) as raised:
        built(path, tmp_path / "out", **keys)
    assert expected in str(raised.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = source_file(tmp_path / "de.jsonl", ["de"])
    with pytest.raises(UsageError, match=r"has no column 'langs'\. Did you mean 'lang'\?"):
        built(path, tmp_path / "out", source={"language": "de", "language_column": "langs"})


def test_text_files_have_no_column(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ein Text.", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"source.language_column applies to Parquet, CSV and JSON files, not to a.txt"
    ):
        built(tmp_path / "a.txt", tmp_path / "out", source={"language": "de", "language_column": "lang"})


def test_a_plan_says_what_is_left_out(tmp_path: Path) -> None:
    path = source_file(tmp_path / "zh.jsonl", ["zh"])
    plan = make_plan([load_recipe("nano", [f"source.path={path}", "source.language=zh"], "nano-l2t")])
    assert "Text in Chinese leaves out space (no spaces)." in plan.releases[0].data.note
