"""Every task in every language on text of that language: what is changed, and that the answer undoes it.

The texts are the sentences of a language's passage in any selection, mixed with text of other scripts. The checks find
words and letters by Unicode's properties, not by the code of the tasks.
"""

import random
import re
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2t_hub.corpus.blocks import cut
from l2t_hub.corpus.sentences import splitter
from l2t_hub.tasks import TASKS, Block, Drop, Example, Language, language, render
from l2t_hub.tasks.labels import MARKERS
from l2t_hub.tasks.languages import package_codes
from l2t_hub.tasks.registry import available

FOREIGN = (
    "Das iPhone 15 kostet 5,999 ¥!", "ok 👍🏽👩‍👩‍👧 …", "他说：“你好，World 2.0！”", "नमस्ते दुनिया", "\u202eabc\u202c", "a\x00b \x1c",
    "e\u0301a\u0308\u0323", "[MASK] ___", "ー々〆ヶ", "อ่านหนังสือ", "(「」)", "3.5%", "\u00a0\u3000", "ﷺ", "ß ſ ǅ",
)  # fmt: skip
SENTENCES = {
    code: splitter("sentencex", code)(language(code).about.passage) for code in (*package_codes(), "it", "th")
}
SENTENCES["it"] = splitter("sentencex", "it")(
    "Il battello parte alle sette. Nessuno aspetta chi è in ritardo. Piove."
)
SENTENCES["th"] = ["เรือข้ามฟากลำเก่าออกเจ็ดโมงเช้าทุกวัน", "และไม่เคยรอผู้โดยสารที่มาสาย", "พี่สาวหยุดซื้อลูกแพร์ 3 ลูก"]
CASES = [(code, name) for code in SENTENCES for name in available(TASKS, language(code))]


@st.composite
def texts(draw: st.DrawFn) -> list[int]:
    """Numbers of sentences: of the language from 0, foreign ones from 100."""
    own = st.integers(0, 5)
    return draw(
        st.lists(st.one_of(own, own, own, st.integers(100, 99 + len(FOREIGN))), min_size=1, max_size=9)
    )


def sentences_of(code: str, numbers: Sequence[int]) -> tuple[str, ...]:
    own = SENTENCES[code]
    return tuple(own[n % len(own)] if n < 100 else FOREIGN[n - 100] for n in numbers)


def joined(of: Language, sentences: Sequence[str]) -> str:
    return (" " if of.spaced else "").join(sentences)


def normalised(text: str) -> str:
    return re.sub(r"[\s\x1c-\x1f\x85]+", " ", text).strip(" ")


def is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def check(name: str, of: Language, sentences: tuple[str, ...], other: list[str], example: Example) -> None:
    text = joined(of, sentences)
    if name in ("masked_char", "masked_word", "space", "typo", "one"):
        assert example.completion == text
    if name in ("random", "shuffle"):
        assert example.completion == normalised(text)
    if name in ("char_count", "token_type"):
        check_question(name, of, text, example)
    elif name == "half":
        assert example.prompt + example.completion == normalised(text)
    elif name == "fill_middle":
        check_middle(of, normalised(text), example)
    elif name == "one":
        assert normalised(text).startswith(example.prompt)
        assert len(example.prompt) < len(text)
    elif name == "typo":
        check_typo(of, text, example.prompt)
    elif name == "masked_char":
        check_masked_char(of, text, example.prompt)
    elif name == "masked_word":
        check_masked_word(text, example.prompt)
    elif name == "space":
        assert example.prompt == text.replace(" ", "")
    elif name == "shuffle":
        assert sorted(example.prompt.replace(" ", "")) == sorted(example.completion.replace(" ", ""))
        assert example.prompt != example.completion
    elif name == "random":
        assert example.prompt != example.completion
    elif name == "last":
        ending = re.split(r"(?<=[.:：\])]) |：", example.completion)[-1]
        assert normalised(sentences[-1]).endswith(ending)
    elif name == "deletion":
        assert example.completion in (text, *other)
        intruders = [s for s in other if s not in sentences]
        assert sorted(example.prompt) in [sorted(joined(of, (*sentences, s))) for s in intruders]
    elif name == "reordering":
        assert example.completion == text
        assert sorted(example.prompt) == sorted(text)


def check_question(name: str, of: Language, text: str, example: Example) -> None:
    (kind,) = [
        kind
        for kind, wordings in of.instructions.items()
        if any(example.prompt in (f"{w}\n\n{text}", f"{text}\n\n{w}") for w in wordings)
    ]
    assert (kind == "char_count") == (name == "char_count")
    words = text.split() if of.spaced else of.parts(text)[1::2]
    expected = {
        "char_count": len(text),
        "digits": sum(unicodedata.digit(char, None) is not None for char in text),
        "punctuation": sum(char in of.about.punctuation for char in text),
        "stop_words": sum(word.lower() in of.stop_words for word in words),
        "content_words": sum(
            all(char.isalnum() or (of.code in ("ar", "hi") and is_mark(char)) for char in word)
            and any(map(str.isalnum, word))
            and word.lower() not in of.stop_words
            for word in words
        ),
    }
    assert example.completion == str(expected[kind])


def check_middle(of: Language, text: str, example: Example) -> None:
    first, _, third = example.prompt.partition("\n")
    pairs = [(a, b) for a, b in (("", ""), *of.part_labels) if first.startswith(a) and third.startswith(b)]
    gap = " ?" if not of.spaced else " "
    parts = ((first.removeprefix(a), example.completion, third.removeprefix(b)) for a, b in pairs)
    assert any(re.fullmatch(gap.join(map(re.escape, part)), text) for part in parts)


def check_typo(of: Language, text: str, prompt: str) -> None:
    changed = [(old, new) for old, new in zip(text, prompt, strict=True) if old != new]
    assert changed
    letters = set("".join(of.letters)) | set("abcdefghijklmnopqrstuvwxyz")
    for old, new in changed:
        assert new.lower() in letters
        assert old.isalnum() or is_mark(old)
        assert is_mark(old) == is_mark(new), "a vowel sign is replaced by one, and a letter by a letter"
        assert old.isupper() == new.isupper() or of.code in ("ar", "hi", "ja", "zh")
    for old, new in changed:
        if old.lower() in letters:
            assert unicodedata.name(old).split()[0] == unicodedata.name(new).split()[0], "the same script"


def check_masked_char(of: Language, text: str, prompt: str) -> None:
    (marker, *_) = [m for m in MARKERS if prompt.count(m) > text.count(m)]
    hidden = r"[^\W\d_]" + (r"\w*?" if not of.has_marks else ".*?")
    kept = [re.escape(part) for part in prompt.split(marker)]
    assert re.fullmatch(f"(?:{hidden}|{re.escape(marker)})".join(kept), text, re.DOTALL)
    if of.has_marks:
        after = prompt.split(marker)[1:]
        assert not any(part and is_mark(part[0]) for part in after), "no marker carries a vowel sign"


def check_masked_word(text: str, prompt: str) -> None:
    kept = [re.escape(part) for part in re.split("|".join(map(re.escape, MARKERS)), prompt)]
    assert len(kept) > 1
    assert re.fullmatch(r"\S+?".join(kept), text, re.DOTALL)


@pytest.mark.parametrize(("code", "name"), CASES)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(numbers=texts(), other=texts(), seed=st.integers(0, 2**32))
def test_the_answer_undoes_the_change(
    code: str, name: str, numbers: list[int], other: list[int], seed: int
) -> None:
    of = language(code)
    sentences, others = sentences_of(code, numbers), list(sentences_of(code, other))
    example = TASKS[name].make(Block(sentences, of), others, random.Random(seed))
    assert example == TASKS[name].make(Block(sentences, of), others, random.Random(seed)), (
        "every draw is repeatable"
    )
    if isinstance(example, Example):
        assert example.prompt
        assert example.completion
        check(name, of, sentences, others, example)


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, name in CASES if code not in ("it", "th")])
def test_every_task_makes_an_example_of_the_passage(code: str, name: str) -> None:
    of = language(code)
    block = Block(tuple(SENTENCES[code]), of)
    other = splitter("sentencex", code)(of.about.other)
    example = TASKS[name].make(block, other, random.Random(1))
    assert not isinstance(example, Drop), example
    anchor, text = render(example, random.Random(1), of)
    assert anchor in of.about.anchors
    assert text.startswith(example.prompt)
    assert text.endswith(example.completion)


@pytest.mark.parametrize("code", SENTENCES)
@given(st.lists(st.one_of(st.text(st.characters(exclude_categories=("Cs",))), st.sampled_from(FOREIGN))))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_parts_are_the_text_and_words_have_no_whitespace(code: str, texts: list[str]) -> None:
    text = "".join(texts)
    parts = language(code).parts(text)
    assert "".join(parts) == text
    assert len(parts) % 2 == 1
    assert all(word and not any(map(str.isspace, word)) for word in parts[1::2])
    assert all(not gap.strip() for gap in parts[::2])


def test_words_keep_the_punctuation_around_them() -> None:
    assert Block(("他说：“你好，世界！”", "（是的）"), language("zh")).words == (
        "他",
        "说：",
        "“你好，",
        "世界！”",
        "（是",
        "的）",
    )
    assert Block(("「船は出る。」と姉は言った。",), language("ja")).words[:4] == (
        "「船",
        "は",
        "出る。」",
        "と",
    )
    assert Block(("iPhone 15 发布了。",), language("zh")).words == ("iPhone", "15", "发布", "了。")
    assert Block(("……",), language("zh")).words == ("……",)


def test_words_are_joined_as_the_text_separates_them() -> None:
    block = Block(("买了 iPhone 15 手机，", "很好。"), language("zh"))
    assert block.text == "买了 iPhone 15 手机，很好。"
    assert block.joined(block.words) == block.text
    assert block.words[:4] == ("买", "了", "iPhone", "15")
    assert block.joined(("一", "二"), 1) == "一 二"
    assert block.joined(()) == ""
    assert [block.gap(index) for index in range(1, 5)] == ["", " ", " ", " "]


def test_chinese_blocks_count_words_and_not_runs_between_spaces() -> None:
    sentences = SENTENCES["zh"]
    assert len("".join(sentences).split()) == 1
    (block,) = cut(sentences, 1, language("zh"))
    assert 80 < len(block.words) < 120


def test_a_vowel_sign_goes_with_its_letter() -> None:
    block = Block(("कि " * 40,), language("hi"))
    example = TASKS["masked_char"].make(block, (), random.Random(0))
    assert isinstance(example, Example)
    marker = next(m for m in MARKERS if m in example.prompt)
    assert example.prompt.count(marker) == 6  # 0.15 of 40
    assert example.prompt.count("कि") == 34
    assert set(example.prompt.split()) == {marker, "कि"}


def test_a_word_in_lower_case_is_not_replaced_by_a_german_noun() -> None:
    block = Block(("Das kleine Boot fährt heute nicht mehr über den See. " * 10,), language("de"))
    nouns = {word for word in language("de").dictionary if word[0].isupper()}
    seen = set()
    for seed in range(200):
        example = TASKS["random"].make(block, (), random.Random(seed))
        assert isinstance(example, Example)
        for old, new in zip(example.completion.split(), example.prompt.split(), strict=True):
            if old != new:
                assert old[0].isupper() == new[0].isupper()
                seen.add(new)
    assert seen & nouns
    assert any(word.islower() for word in seen)
