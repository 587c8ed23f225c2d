"""Downloads: CSV that a spreadsheet reads and does not run, Markdown that shows what was typed, a picture."""

import csv
import io
import struct

import pytest
from page_markup import HOSTILE, answer_of, pair_answer, score

from l2t_hub.demo.answer_files import as_csv, as_markdown
from l2t_hub.demo.answer_plot import MOST_COLUMNS, _runs, as_png
from l2t_hub.demo.pair_input import Question, pairs_question, sentence_question
from l2t_hub.errors import UserError


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_of_a_pair_has_tokens_and_words_that_add_up() -> None:
    answer = pair_answer(
        score((1, "The", 3.0), (2, " ke", 7.0), (3, "ys", 5.0), (4, " are", 2.25)),
        score((1, "The", 3.0), (2, " ke", 7.0), (3, "ys", 5.0), (5, " is", 6.0)),
        ["raw", "l2t"],
    )
    found = rows(as_csv(answer))
    of_raw = [r for r in found if r["model"] == "raw" and r["sentence"] == "ungrammatical"]
    assert [(r["text"], r["bits"]) for r in of_raw if r["unit"] == "word"] == [
        *(("The", "3.0"), ("keys", "12.0"), ("is", "6.0"))
    ]
    assert [r["text"] for r in of_raw if r["unit"] == "token"] == ["The", " ke", "ys", " is"]
    assert len(found) == 2 * 2 * (4 + 3)


def test_csv_of_a_list_has_a_row_per_pair_and_model() -> None:
    found = rows(as_csv(answer_of(pairs_question("a cat\ta cats\nbb\tb"), raw=1.0, l2t=2.0)))
    assert [(r["pair"], r["model"], r["preference_bits"], r["prefers"]) for r in found] == [
        *(("1", "raw", "1.0", "grammatical"), ("1", "l2t", "2.0", "grammatical")),
        *(("2", "raw", "-1.0", "ungrammatical"), ("2", "l2t", "-2.0", "ungrammatical")),
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_csv_has_no_formula(start: str) -> None:
    formula = f"{start}HYPERLINK(1)"
    for question in (Question("pairs", (formula, "b")), Question("sentence", (formula,))):
        text = as_csv(answer_of(question, **{formula: 1.0}))
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert f"'{formula}" in cells
        assert not [cell for cell in cells if cell.startswith(start) and not cell[1:2].isdigit()]


def test_markdown_shows_what_was_typed_and_adds_up() -> None:
    hostile = Question("pair", (HOSTILE + " | a", "b\n# c"))
    text = as_markdown(answer_of(hostile, m=1.0))
    assert "<img" not in text
    assert "\\| a" in text
    assert "\n# c" not in text
    text = as_markdown(answer_of(Question("pair", ("The keys are", "The keys is")), raw=1.0, l2t=0.5))
    lines = text.splitlines()
    assert lines[0] == "**raw and l2t both prefer the ungrammatical sentence, by 1.0 and 0.5 bits.**"
    assert "| raw | -10.00 | -9.00 | ungrammatical | 1.00 |" in lines
    assert "|  | The | keys | are / is | total |" in lines
    assert "| l2t, ungrammatical | 1.5 | 2.0 | 1.0 | 4.5 |" in lines


def test_markdown_of_a_sentence_and_of_a_list() -> None:
    text = as_markdown(answer_of(sentence_question("Cats sleep"), raw=1.0))
    assert text.startswith("**The sentence has 9.0 bits under raw.**\n\n- sentence: Cats sleep\n")
    assert "| raw | 4.0 | 5.0 | 9.0 |" in text
    text = as_markdown(answer_of(pairs_question("a\tbb\ncc\td"), raw=1.0))
    assert "| 1 | a | bb | +1.0 |\n| 2 | cc | d | -1.0 |\n|  |  | mean, bits | +0.0 |\n" in text


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "question",
    [
        Question("pair", ("$The_{keys}$ are 猫 \u202e here", HOSTILE)),
        Question("pair", ("w " * 60 + "a", "w " * 60 + "b")),
        Question("sentence", ("_x",)),
        Question("pairs", ("a", "bb") * 200),
    ],
)
def test_a_picture_of_anything_has_a_bounded_size(question: Question) -> None:
    png = as_png(answer_of(question, raw=1.0, _l2t=3.0))
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert 500 < width < 2500
    assert 300 < height < 4000


def test_sentences_too_long_for_a_picture_are_refused_before_it_is_drawn() -> None:
    with pytest.raises(UserError, match="have 1,202 tokens, and a picture has room for about 288"):
        as_png(answer_of(Question("pair", ("w " * 600 + "a", "w " * 600 + "b")), raw=1.0, l2t=3.0))


@pytest.mark.parametrize("count", range(1, 200, 7))
def test_no_axis_has_only_the_last_few_tokens(count: int) -> None:
    sizes = [len(run) for run in _runs(count)]
    assert sum(sizes) == count
    assert max(sizes) <= MOST_COLUMNS
    assert min(sizes) >= max(sizes) - len(sizes)
