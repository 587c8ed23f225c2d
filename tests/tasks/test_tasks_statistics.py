"""The rates of each task on real text, and the distribution of each random choice.

All seeds are fixed, so a test gives the same figure every time. A chi-square test with p below 0.001 fails.
"""

import random
import string
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate

import pytest
from scipy.stats import chisquare, kstest

from l2t_hub.tasks import TASKS, Block, Drop, Example, language, render
from l2t_hub.tasks.labels import MARKERS
from l2t_hub.tasks.word import COUNTS

Work = list[tuple[Block, list[str]]]

SENTENCES = tuple(
    f"S{i} keeps the {noun} of them near." for i, noun in enumerate(("cat", "dog", "hen", "owl", "bat"))
)
OTHER = ("X0 sold a ship.", "X1 sold a farm.", "X2 sold a mill.", "X3 sold an inn.")
OTHER_ENDINGS = ("a ship.", "a farm.", "a mill.", "an inn.")


def examples_of(name: str, work: Work, seed: int = 42) -> list[tuple[Block, Example]]:
    """Examples of all blocks; real text is hardly ever dropped."""
    rng = random.Random(seed)
    results = [(block, TASKS[name].make(block, other, rng)) for block, other in work]
    examples = [(block, result) for block, result in results if isinstance(result, Example)]
    assert len(examples) >= 0.99 * len(results)
    return examples


def drawn(name: str, times: int, sentences: Sequence[str] = SENTENCES) -> list[Example]:
    """Examples of one small block, each with a different seed."""
    block = Block(tuple(sentences))
    results = [TASKS[name].make(block, OTHER, random.Random(f"{name} {seed}")) for seed in range(times)]
    return [result for result in results if not isinstance(result, Drop)]


def assert_uniform(draws: Iterable[Hashable], values: Sequence[Hashable]) -> None:
    counts = Counter(draws)
    assert set(counts) <= set(values)
    assert chisquare([counts[value] for value in values]).pvalue > 0.001


def spread(shares: Sequence[float], low: float, high: float) -> float:
    """The p-value of a Kolmogorov-Smirnov test that the shares are uniform between two bounds."""
    return float(kstest(shares, "uniform", (low, high - low)).pvalue)


def test_there_is_enough_text(real_work: Work) -> None:
    assert len(real_work) > 1000
    assert 250 < sum(len(block.words) for block, _ in real_work) / len(real_work) < 450


def test_masked_char_masks_015_of_the_letters(real_work: Work) -> None:
    masked = total = 0
    for block, example in examples_of("masked_char", real_work):
        (marker,) = [m for m in MARKERS if m in example.prompt and m not in block.text]
        lost, rest = divmod(len(example.prompt) - len(block.text), len(marker) - 1)
        n = sum(char.isalnum() and not char.isdigit() for char in block.text)
        assert (lost, rest) == (round(0.15 * n), 0)
        assert example.prompt.count(marker) == lost
        masked, total = masked + lost, total + n
    assert masked / total == pytest.approx(0.15, abs=0.001)


def test_masked_char_masks_anywhere_alike(real_work: Work) -> None:
    hits: Counter[int] = Counter()
    for seed in range(400):
        example = TASKS["masked_char"].make(Block(("abcdefghijklmnopqrst",)), (), random.Random(seed))
        assert isinstance(example, Example)
        hits.update(
            i
            for i, char in enumerate("abcdefghijklmnopqrst")
            if char not in example.prompt.replace("MASK", "")
        )
    assert sum(hits.values()) == 3 * 400
    assert chisquare([hits[i] for i in range(20)]).pvalue > 0.001


def test_masked_word_masks_015_of_the_words(real_work: Work) -> None:
    masked = total = 0
    markers: Counter[str] = Counter()
    for block, example in examples_of("masked_word", real_work):
        pairs = zip(block.words, example.prompt.split(), strict=True)
        new = [after for before, after in pairs if before != after]
        assert len(new) == round(0.15 * len(block.words))
        markers.update(new)
        masked, total = masked + len(new), total + len(block.words)
    assert masked / total == pytest.approx(0.15, abs=0.001)
    assert set(markers) == set(MARKERS)
    assert chisquare([markers[marker] for marker in MARKERS]).pvalue > 0.001


def test_typo_mistypes_3_to_8_percent(real_work: Work) -> None:
    shares = []
    kept_case: list[bool] = []
    for block, example in examples_of("typo", real_work):
        n = sum(map(str.isalnum, block.text))
        changed = [(a, b) for a, b in zip(block.text, example.prompt, strict=True) if a != b]
        assert round(0.03 * n) <= len(changed) <= round(0.08 * n)
        kept_case += [a.isupper() == b.isupper() for a, b in changed]
        if n > 1000:
            shares.append(len(changed) / n)
    assert all(kept_case)
    assert sum(shares) / len(shares) == pytest.approx(0.055, abs=0.001)
    assert spread(shares, 0.03, 0.08) > 0.001


def test_typo_letters_are_uniform() -> None:
    block = Block(("e" * 60,))
    new = [
        c
        for seed in range(1000)
        for c in TASKS["typo"].make(block, (), random.Random(seed)).prompt
        if c != "e"
    ]  # type: ignore[union-attr]
    assert_uniform(new, string.ascii_lowercase.replace("e", ""))


def test_random_replaces_5_to_10_percent(real_work: Work) -> None:
    shares = []
    pool = set(language().dictionary)
    known: list[bool] = []
    for block, example in examples_of("random", real_work):
        changed = [(a, b) for a, b in zip(block.words, example.prompt.split(" "), strict=True) if a != b]
        n = len(block.words)
        assert max(1, round(0.05 * n)) <= len(changed) <= max(1, round(0.10 * n))
        known += [b in pool if not a[0].isupper() else b[0] == b[0].upper() for a, b in changed]
        shares += [len(changed) / n] if n > 300 else []
    assert all(known)
    assert sum(shares) / len(shares) == pytest.approx(0.075, abs=0.001)


def test_random_draws_synsets_alike(real_work: Work) -> None:
    counts = Counter(language().dictionary)
    first = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
    rng = random.Random(42)
    drawn_synsets = [
        first[b.lower()] + rng.randrange(counts[b.lower()])  # any of the word's synsets
        for block, example in examples_of("random", real_work)
        for a, b in zip(block.words, example.prompt.split(" "), strict=True)
        if a != b
    ]
    assert len(drawn_synsets) > 10_000
    assert spread(drawn_synsets, 0, counts.total()) > 0.001


def test_random_does_not_give_itself_away_by_a_capital(real_work: Work) -> None:
    for block, example in examples_of("random", real_work):
        for old, new in zip(block.words, example.prompt.split(" "), strict=True):
            assert new == old or new[1:] == new[1:].lower()
            assert new == old or new[0].isupper() == (old[0].isupper() and new[0].isalpha())


def test_shuffle_swaps_5_to_10_percent_of_words_as_pairs(real_work: Work) -> None:
    shares = []
    for block, example in examples_of("shuffle", real_work):
        n = len(block.words)
        moved = [(a, b) for a, b in zip(block.words, example.prompt.split(" "), strict=True) if a != b]
        assert Counter(a for a, _ in moved) == Counter(b for _, b in moved)
        pairs, odd = divmod(len(moved), 2)
        assert not odd
        assert max(1, round(0.05 * n)) <= pairs <= max(1, round(0.10 * n))
        shares += [pairs / n] if n > 300 else []
    assert sum(shares) / len(shares) == pytest.approx(0.075, abs=0.001)


def test_shuffle_positions_are_uniform() -> None:
    words = [f"w{i}" for i in range(20)]
    moved = [
        i
        for example in drawn("shuffle", 3000, [" ".join(words)])
        for i, word in enumerate(example.prompt.split(" "))
        if word != words[i]
    ]
    assert_uniform(moved, range(20))


def test_space_removes_every_space(real_work: Work) -> None:
    for block, example in examples_of("space", real_work):
        assert " " not in example.prompt
        assert len(example.prompt) + block.text.count(" ") == len(block.text)


@pytest.mark.parametrize("name", ["char_count", "token_type"])
def test_the_order_of_instruction_and_text_is_uniform(name: str) -> None:
    text = " ".join(SENTENCES)
    assert_uniform((example.prompt.startswith(text) for example in drawn(name, 2000)), (True, False))


def test_char_count_wordings_are_uniform() -> None:
    text = " ".join(SENTENCES)
    wordings = [example.prompt.replace(text, "").strip() for example in drawn("char_count", 5000)]
    assert_uniform(wordings, language().instructions["char_count"])


def test_token_type_kinds_and_wordings_are_uniform() -> None:
    kinds = [language().instructions[kind] for kind in COUNTS]
    text = " ".join(SENTENCES)
    wordings = [example.prompt.replace(text, "").strip() for example in drawn("token_type", 8000)]
    assert_uniform([next(i for i, kind in enumerate(kinds) if w in kind) for w in wordings], range(4))
    for kind in kinds:
        assert_uniform([w for w in wordings if w in kind], kind)


def test_masked_char_markers_are_uniform() -> None:
    markers_of_examples = [
        [marker for marker in MARKERS if marker in example.prompt] for example in drawn("masked_char", 2000)
    ]
    assert all(len(markers) == 1 for markers in markers_of_examples)
    assert_uniform([markers[0] for markers in markers_of_examples], MARKERS)


def test_deletion_position_intruder_and_answer_are_uniform() -> None:
    examples = drawn("deletion", 4000)
    text = " ".join(SENTENCES)
    intruders = [next(s for s in OTHER if s in example.prompt) for example in examples]
    assert_uniform(intruders, OTHER)
    before = [e.prompt.split(x)[0].count(".") for e, x in zip(examples, intruders, strict=True)]
    assert_uniform(before, range(len(SENTENCES) + 1))
    assert all(e.completion in (text, x) for e, x in zip(examples, intruders, strict=True))
    assert_uniform([example.completion == text for example in examples], (True, False))


def test_reordering_orders_are_uniform() -> None:
    text = " ".join(SENTENCES[:4])
    orders = [example.prompt for example in drawn("reordering", 4000, SENTENCES[:4])]
    assert text not in orders
    assert len(set(orders)) == 23
    assert_uniform(orders, sorted(set(orders)))


def test_reordering_changes_real_text(real_work: Work) -> None:
    for block, example in examples_of("reordering", real_work):
        assert example.prompt != block.text == example.completion
        assert sorted(example.prompt) == sorted(block.text)


def test_last_draws_are_uniform() -> None:
    examples = drawn("last", 8000)
    right = "them near."
    heads, first, labels, markers, question_marks = [], [], [], [], []
    for example in examples:
        head, one, two = example.prompt.rsplit("\n", 2)
        heads.append(("\n\nQuestion: " in head, "\n\nOptions:" in head))
        first.append(one.endswith(right))
        assert one.endswith(right) != two.endswith(right)
        assert example.completion == (one if first[-1] else two)
        option = next(ending for ending in (right, *OTHER_ENDINGS) if one.endswith(ending))
        labels.append(one.removesuffix(option))
        question = head.strip().removesuffix("Options:").strip()
        question_marks.append(question.endswith("?"))
        markers.append(question.removesuffix("?").split(" ")[-1])
    assert_uniform(heads, [(a, b) for a in (False, True) for b in (False, True)])
    assert_uniform(first, (True, False))
    assert_uniform([label != "" for label in labels], (True, False))
    assert_uniform([label for label in labels if label], [label for label, _ in language().option_labels])
    assert_uniform(question_marks, (True, False))
    assert_uniform(markers, MARKERS)


def test_last_options_on_real_text_always_differ(real_work: Work) -> None:
    labelled = 0
    for _, example in examples_of("last", real_work):
        one, two = example.prompt.rsplit("\n", 2)[1:]
        pair = next(
            (p for p in language().option_labels if one.startswith(p[0]) and two.startswith(p[1])), ("", "")
        )
        labelled += pair != ("", "")
        assert one.removeprefix(pair[0]).casefold() != two.removeprefix(pair[1]).casefold()
        assert example.completion in (one, two)
    assert labelled / len(real_work) == pytest.approx(0.5, abs=0.05)


def test_fill_middle_labels_are_uniform() -> None:
    firsts = [example.prompt.partition("S0")[0] for example in drawn("fill_middle", 6000, SENTENCES * 3)]
    assert_uniform([label != "" for label in firsts], (True, False))
    assert_uniform([label for label in firsts if label], [label for label, _ in language().part_labels])


def test_fill_middle_parts_cover_real_text(real_work: Work) -> None:
    for block, example in examples_of("fill_middle", [(b, o) for b, o in real_work if len(b.words) >= 60]):
        first, third = example.prompt.split("\n")
        n = len(block.words) // 3
        assert example.completion.split() == list(block.words[n : 2 * n])
        assert first.split()[-n:] == list(block.words[:n])
        assert third.split()[-len(block.words[2 * n :]) :] == list(block.words[2 * n :])


def test_anchors_are_uniform() -> None:
    rng = random.Random(42)
    assert_uniform(
        (render(Example("a", "b"), rng, language())[0] for _ in range(7000)), language().about.anchors
    )
