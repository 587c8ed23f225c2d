"""Tasks, blocks and examples, and the tables: labels, wordings, word lists."""

import ast
import pickle
import random
import re
import runpy
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError, UserError
from l2t_hub.tasks import DROPS, TASKS, Block, Drop, Example, Task, labels, language, render
from l2t_hub.tasks.base import make_example
from l2t_hub.tasks.languages import KINDS

ENGLISH = language()
QUESTIONS = ENGLISH.instructions

NAMES = {
    "char_count": ("spaces",),  # unless it says whether spaces count, the question has two answers
    "content_words": ("content word",),
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
            anchor, text = render(Example("begin", completion), rng, ENGLISH)
            texts[completion, anchor] = text
    for anchor in ENGLISH.about.anchors:
        assert texts[" rest", anchor] == f"begin\n\n{anchor} rest"
        assert texts["rest", anchor] == (f"begin\n\n{anchor} rest" if anchor else "begin\n\nrest")
    assert len(texts) == 2 * len(ENGLISH.about.anchors) == 14


def test_the_tables_have_what_the_paper_names() -> None:
    assert labels.MARKERS == ("[MASK]", "___", "@@@", "###", "+++", "<<>>", "(())", "$$$")
    assert len(set(ENGLISH.part_labels)) == len(ENGLISH.part_labels) == 24
    assert len(set(ENGLISH.option_labels)) == len(ENGLISH.option_labels) == 18
    assert {("[1] ", "[3] "), ("A. ", "C. "), ("First: ", "Third: "), ("(i) ", "(iii) ")} <= set(
        ENGLISH.part_labels
    )
    assert {("[a] ", "[b] "), ("1. ", "2. "), ("(i) ", "(ii) "), ("A: ", "B: ")} <= set(ENGLISH.option_labels)
    for pair in (*ENGLISH.part_labels, *ENGLISH.option_labels):
        assert pair[0] != pair[1]
        assert all(label.endswith(" ") and label.strip() for label in pair)
    third = {"1": "3", "a": "c", "A": "C", "i": "iii", "I": "III", "First": "Third", "Part 1": "Part 3",
             "Beginning": "End", "Before": "After"}  # fmt: skip
    second = {"1": "2", "a": "b", "A": "B", "i": "ii", "Option 1": "Option 2", "Option A": "Option B"}
    for pairs, partner in ((ENGLISH.part_labels, third), (ENGLISH.option_labels, second)):
        assert all(partner[a.strip(" [().]:")] == b.strip(" [().]:") for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_wordings_name_what_they_ask_for(kind: str) -> None:
    wordings = QUESTIONS[kind]
    assert len({w.casefold() for w in wordings}) == len(wordings) == 20
    for wording in wordings:
        lower = wording.lower()
        assert any(name in lower for name in NAMES[kind]), wording
        assert wording == " ".join(wording.split())
        assert 6 <= len(wording.split()) <= 12, wording


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_wordings_are_questions_and_half_are_commands(kind: str) -> None:
    asked = [w for w in QUESTIONS[kind] if w.endswith("?")]
    commands = [w for w in QUESTIONS[kind] if w.endswith(".")]
    assert len(asked) == len(commands) == 10
    assert all(re.search(r"\b(how many|how long|what is)\b", w.lower()) for w in asked), asked
    verbs = {w.split()[0] for w in commands}
    assert verbs == {"Count", "Give", "State", "Determine", "Calculate", "Work", "Report"} | (
        {"Find"} if kind != "char_count" else set()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_wording_is_wrong_idiom_a_rate_or_points_at_a_place(kind: str) -> None:
    faults = r"put a number|name the number|how often|how many times|rate|share|above|below|following|mere"
    assert not [w for w in QUESTIONS[kind] if re.search(rf"\b(?:{faults})\b", w.lower())]


def test_no_two_kinds_share_a_wording() -> None:
    wordings = [wording for kind in QUESTIONS.values() for wording in kind]
    assert len(set(wordings)) == len(wordings)


def test_the_stop_words_are_nltks_179() -> None:
    words = ENGLISH.stop_words
    assert len(words) == 179
    assert {"the", "of", "him", "don't", "don", "t", "mustn't", "which"} <= words
    assert not {"house", "must", "would", "cannot", "don’t"} & words


def test_the_stop_words_are_those_of_the_papers_data(shared_data: Path) -> None:
    assert ENGLISH.stop_words == set((shared_data / "lexicon" / "stopwords-en-179.txt").read_text().split())


def test_the_dictionary_is_that_of_wordnet() -> None:
    words = ENGLISH.dictionary
    counts = Counter(words)
    assert (len(words), len(counts)) == (85_122, 56_270)
    assert list(words) == sorted(words)
    assert all(word == word.lower() and word.isascii() and not re.search(r"[\s_(]", word) for word in counts)
    assert {"entity", "breathe", "able", "galore", "abidjan"} <= set(counts)
    assert counts["break"] > counts["entity"] == 1, "a lemma that is first in several synsets counts as often"


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
    counts = script["synset_counts"](tmp_path)  # type: ignore[operator]
    text = script["lines_of"](counts)  # type: ignore[operator]
    assert text == "'hood\nablaze\nbark\ndog\ngalore\nmain\npolish\nset 2\n"


def test_the_dictionary_agrees_with_the_installed_wordnet(script: dict[str, object]) -> None:
    if not (script["DATABASE"] / "data.noun").is_file():  # type: ignore[operator]
        pytest.skip("Debian's wordnet-base is not installed")
    counts = script["synset_counts"](script["DATABASE"])  # type: ignore[operator]
    assert counts == Counter(ENGLISH.dictionary)


def test_word_lists_are_small_and_licensed(repository: Path) -> None:
    folder = repository / "l2t_hub" / "tasks" / "languages" / "en"
    assert (folder / "dictionary.txt.xz").stat().st_size < 400_000
    assert "Princeton University" in (folder / "LICENSE-WordNet.txt").read_text()
    sources = (folder / "SOURCES.md").read_text()
    assert "Dr Martin Porter" in (folder / "LICENSE-Snowball.txt").read_text()
    assert all(f"`{path.name}`" in sources for path in folder.iterdir() if path.name != "SOURCES.md")


def test_the_tasks_use_exactly_the_reasons_of_the_table(repository: Path) -> None:
    used = set()
    for path in (repository / "l2t_hub" / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Drop":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: a reason that is not a literal"
                used.add(node.args[0].value)
    assert used == set(DROPS)
    assert Drop("empty") == Drop("empty")


def test_a_task_that_fails_or_returns_something_else_is_named_with_its_place() -> None:
    def broken(block: Block, other: object, rng: random.Random) -> Example:
        return Example(block.words[99], "x")

    def silent(block: Block, other: object, rng: random.Random) -> Example:
        return None  # type: ignore[return-value]

    for make, says in (
        (
            broken,
            r"task 'mine' failed on document 'a1': IndexError: tuple index out of range \(.*test_tasks_base.py:\d+\)",
        ),
        (silent, "task 'mine' returned None for document 'a1'"),
    ):
        task = Task("mine", "word", "Fail.", make)
        with pytest.raises(UserError, match=says):
            make_example(task, Block(("A few words.",)), (), random.Random(1), "document 'a1'")
