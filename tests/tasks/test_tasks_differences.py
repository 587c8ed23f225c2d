"""The marked differences between a source text and a prompt."""

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2t_hub.tasks import TASKS, Block, Drop, Example
from l2t_hub.tasks.showcase import MAX_CHARACTERS, Span, apply_task, differences

SENTENCES = ("The hen laid an egg.", "Nobody saw it, for it was dark.", "By noon it was gone.")
OTHER = ("A comet came.",)
texts = st.lists(st.sampled_from(("cat ", "dog", " ", "\n", "é", "👍🏽", "a b ")), max_size=12).map("".join)


def without(text: str, spans: tuple[Span, ...]) -> str:
    """The text without the spans."""
    kept, position = "", 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        kept, position = kept + text[position:start], end
    return kept + text[position:]


def test_typo_marks_the_letters() -> None:
    shown = apply_task(TASKS["typo"], Block(SENTENCES), OTHER, random.Random(4))
    assert isinstance(shown.result, Example)
    assert shown.source == " ".join(SENTENCES) == shown.result.completion
    assert shown.removed == shown.added  # replaced in place
    assert sum(end - start for start, end in shown.added) in (2, 3, 4)  # 3-8% of 54
    for start, end in shown.added:
        assert shown.source[start:end] != shown.result.prompt[start:end]


def test_space_marks_every_space_as_removed() -> None:
    shown = apply_task(TASKS["space"], Block(SENTENCES), OTHER, random.Random(0))
    assert [shown.source[start:end] for start, end in shown.removed] == [" "] * shown.source.count(" ")
    assert shown.added == ()


def test_word_tasks_mark_whole_words() -> None:
    shown = apply_task(TASKS["masked_word"], Block(SENTENCES), OTHER, random.Random(0))
    assert isinstance(shown.result, Example)
    words = set(shown.source.split())
    assert shown.removed
    assert all(shown.source[start:end] in words for start, end in shown.removed)
    assert len(shown.added) == len(shown.removed)


def test_deletion_marks_the_intruder() -> None:
    shown = apply_task(TASKS["deletion"], Block(SENTENCES), OTHER, random.Random(0))
    assert isinstance(shown.result, Example)
    assert [shown.result.prompt[start:end].strip() for start, end in shown.added] == ["A comet came."]
    assert shown.removed == ()


def test_reordering_marks_whole_sentences_that_moved() -> None:
    shown = apply_task(TASKS["reordering"], Block(SENTENCES), OTHER, random.Random(1))
    assert isinstance(shown.result, Example)
    moved = [shown.result.prompt[start:end].strip() for start, end in shown.added]
    assert 0 < len(moved) < len(SENTENCES)
    assert " ".join(sorted(moved)) in {
        " ".join(sorted(c)) for n in (1, 2, 3) for c in combinations(SENTENCES, n)
    }


def test_a_drop_is_shown_with_its_source() -> None:
    shown = apply_task(TASKS["fill_middle"], Block(SENTENCES), OTHER, random.Random(0))
    assert shown.result == Drop("short_part")
    assert shown.source == " ".join(SENTENCES)
    assert shown.removed == shown.added == ()


def test_long_texts_are_compared_by_word() -> None:
    source = "word " * (MAX_CHARACTERS // 5 + 10)
    assert differences(source, source[:-2] + "k ", by_character=True) == (
        ((len(source) - 5, len(source) - 1),),
        ((len(source) - 5, len(source) - 1),),
    )


@pytest.mark.parametrize("by_character", [True, False])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(source=texts, prompt=texts)
def test_unmarked_text_is_equal(by_character: bool, source: str, prompt: str) -> None:
    removed, added = differences(source, prompt, by_character=by_character)
    assert without(source, removed) == without(prompt, added)
    assert (source == prompt) == (not removed and not added)
