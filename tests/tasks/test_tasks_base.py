"""Tasks, blocks and examples, and the tables: labels, wordings, word lists."""

import ast
import pickle
import random
import runpy
import string
from dataclasses import FrozenInstanceError
from hashlib import sha256
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.tasks import ANCHORS, DROPS, TASKS, Block, Drop, Example, Task, labels, language, render
from l2t_hub.tasks.languages import KINDS

ENGLISH = language()
QUESTIONS = ENGLISH.instructions

NAMES = {
    "char_count": ("space", "blank"),  # unless it says whether spaces count, the question has two answers
    "content_words": ("content word", "stop word"),
    "stop_words": ("stop word",),
    "digits": ("digit",),
    "punctuation": ("ascii",),
}


def _make(block: Block, other: list[str], rng: random.Random) -> Example:
    return Example(block.text, block.text)


def test_block_joins_sentences_and_keeps_inner_whitespace() -> None:
    block = Block(("One\n two.", "Three."))
    assert block.text == "One\n two. Three."
    assert block.words == ("One", "two.", "Three.")
    assert not block.blank
    assert Block(()).blank
    assert Block((" ", "\n\t ")).blank


def test_blocks_and_tasks_are_frozen_and_can_be_pickled() -> None:
    block = Block(("One two.",))
    with pytest.raises(FrozenInstanceError):
        block.sentences = ()  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(block)) == block
    for task in TASKS.values():
        assert pickle.loads(pickle.dumps(task)) == task


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "Typo"}, "not a valid name for a task"),
        ({"name": "a/b"}, "not a valid name for a task"),
        ({"name": ""}, "not a valid name for a task"),
        ({"name": 3}, "not a valid name for a task"),
        ({"level": "sentense"}, "Did you mean 'sentence'?"),
        ({"description": " "}, "has no description"),
        ({"make": "make"}, "is not a function"),
        ({"min_sentences": 0}, "`min_sentences` of task 'mine' must be an integer of at least 1, not 0"),
        (
            {"blocks_per_unit": 1.5},
            "`blocks_per_unit` of task 'mine' must be an integer of at least 1, not 1.5",
        ),
        (
            {"min_sentences": True},
            "`min_sentences` of task 'mine' must be an integer of at least 1, not True",
        ),
    ],
)
def test_an_invalid_task_is_an_error(changes: dict[str, object], expected: str) -> None:
    good = {"name": "mine", "level": "sentence", "description": "Do it.", "make": _make}
    Task(**good)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as raised:
        Task(**{**good, **changes})  # type: ignore[arg-type]
    assert expected in str(raised.value)


def test_render_separates_by_blank_line_and_one_space() -> None:
    texts = {}
    rng = random.Random(0)
    for completion in ("rest", " rest"):
        for _ in range(200):
            anchor, text = render(Example("begin", completion), rng)
            texts[completion, anchor] = text
    for anchor in ANCHORS:
        assert texts[" rest", anchor] == f"begin\n\n{anchor} rest"
        assert texts["rest", anchor] == (f"begin\n\n{anchor} rest" if anchor else "begin\n\nrest")
    assert len(texts) == 2 * len(ANCHORS) == 14


def test_the_tables_have_what_the_paper_names() -> None:
    assert labels.MARKERS == ("[MASK]", "___", "@@@", "###", "+++", "<<>>", "(())", "$$$")
    assert len(set(labels.PART_LABELS)) == len(labels.PART_LABELS) == 24
    assert len(set(labels.OPTION_LABELS)) == len(labels.OPTION_LABELS) == 18
    assert {("[1] ", "[3] "), ("A. ", "C. "), ("First: ", "Third: "), ("(i) ", "(iii) ")} <= set(
        labels.PART_LABELS
    )
    assert {("[a] ", "[b] "), ("1. ", "2. "), ("(i) ", "(ii) "), ("A: ", "B: ")} <= set(labels.OPTION_LABELS)
    for pair in (*labels.PART_LABELS, *labels.OPTION_LABELS):
        assert pair[0] != pair[1]
        assert all(label.endswith(" ") and label.strip() for label in pair)
    third = {"1": "3", "a": "c", "A": "C", "i": "iii", "I": "III", "First": "Third", "Part 1": "Part 3",
             "Beginning": "End", "Before": "After"}  # fmt: skip
    second = {"1": "2", "a": "b", "A": "B", "i": "ii", "Option 1": "Option 2", "Option A": "Option B"}
    for pairs, partner in ((labels.PART_LABELS, third), (labels.OPTION_LABELS, second)):
        assert all(partner[a.strip(" [().]:")] == b.strip(" [().]:") for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_wordings_are_many_and_name_what_they_ask_for(kind: str) -> None:
    wordings = QUESTIONS[kind]
    assert len({w.casefold() for w in wordings}) == len(wordings) >= 20
    for wording in wordings:
        lower = wording.lower()
        assert any(name in lower for name in NAMES[kind])
        assert wording == wording.strip()
        assert "\n" not in wording
        assert wording[-1] in ".?"
        assert "above" not in lower
        assert "below" not in lower


def test_no_two_kinds_share_a_wording() -> None:
    wordings = [wording for kind in QUESTIONS.values() for wording in kind]
    assert len(set(wordings)) == len(wordings)


def test_stop_words_are_function_words_in_lower_case() -> None:
    words = ENGLISH.stop_words
    assert 250 < len(words) < 450
    assert {"the", "of", "and", "him", "don't", "cannot", "which", "been"} <= words
    assert not {"house", "time", "said", "man", "went", "good"} & words
    assert all(set(word) <= {*string.ascii_lowercase, "'"} for word in words)


def test_the_dictionary_is_that_of_wordnet() -> None:
    words = ENGLISH.dictionary
    text = "\n".join(words) + "\n"
    assert len(words) == 57_051
    assert (
        sha256(text.encode()).hexdigest()
        == "7c7371865330aa29a5fa22693d4b81aaa4cb9c6ad91c32ab01c81c28eb78d7ef"
    )
    assert list(words) == sorted(set(words))
    assert not any("_" in word or "(" in word or not word.isascii() for word in words)
    assert {"entity", "breathe", "able", "galore"} <= set(words)


@pytest.fixture
def script(repository: Path) -> dict[str, object]:
    return runpy.run_path(str(repository / "scripts" / "make_lexicon.py"))


def test_the_script_takes_first_lemmas(script: dict[str, object], tmp_path: Path) -> None:
    lemmas = {
        "noun": (
            "02 dog 0 domestic_dog 0 001 @ 02083346 n 0000",
            "01 hot_dog 0 000",
            "01 'hood 0 000",
            "01 set 0 000",
        ),
        "verb": ("01 set 0 000", "0a bark 0 000"),
        "adj": (
            "01 galore(ip) 0 000",
            "02 ablaze(p) 0 afire(p) 0 000",
            "01 main(a) 0 000",
            "01 Polish 0 000",
        ),
    }
    for part, entries in lemmas.items():
        synsets = [f"{i:08d} 03 {part[0]} {entry} | a gloss, with words" for i, entry in enumerate(entries)]
        (tmp_path / f"data.{part}").write_text("\n".join(["  1 The licence comes first.  ", *synsets]) + "\n")
    pool = script["word_pool"](tmp_path)  # type: ignore[operator]
    assert pool == ["'hood", "Polish", "ablaze", "bark", "dog", "galore", "main", "set"]


def test_the_pool_agrees_with_the_installed_wordnet(script: dict[str, object]) -> None:
    if not (script["DATABASE"] / "data.noun").is_file():  # type: ignore[operator]
        pytest.skip("Debian's wordnet-base is not installed")
    assert tuple(script["word_pool"](script["DATABASE"])) == ENGLISH.dictionary  # type: ignore[operator]


def test_word_lists_are_small_and_licensed(repository: Path) -> None:
    folder = repository / "l2t_hub" / "tasks" / "languages" / "en"
    assert (folder / "dictionary.txt.xz").stat().st_size < 400_000
    assert "Princeton University" in (folder / "LICENSE-WordNet.txt").read_text()
    sources = (folder / "SOURCES.md").read_text()
    assert all(name in sources for name in ("stop_words.txt", "dictionary.txt.xz", "LICENSE-WordNet.txt"))


def test_the_tasks_use_exactly_the_reasons_of_the_table(repository: Path) -> None:
    used = set()
    for path in (repository / "l2t_hub" / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Drop":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: a reason that is not a literal"
                used.add(node.args[0].value)
    assert used == set(DROPS)
    assert Drop("empty") == Drop("empty")
