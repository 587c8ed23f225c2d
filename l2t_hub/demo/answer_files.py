"""An answer as CSV and as a Markdown snippet, for a spreadsheet and for an issue or a paper's notes."""

from collections.abc import Iterator, Sequence
from typing import Any

from l2t_hub.demo.answers import PREFERS, ModelAnswers, mean_preference, summarize_pairs, summarize_sentence
from l2t_hub.demo.comparison import summarize_preferences
from l2t_hub.demo.word_matrix import Word, align_words, words_of
from l2t_hub.scoring import Score
from l2t_hub.templates import escape
from l2t_hub.text import csv_text

SENTENCES = {"pair": ("grammatical", "ungrammatical"), "sentence": ("sentence",)}
PAIR_COLUMNS = (
    *("pair", "grammatical", "ungrammatical", "model"),
    *("log2_p_grammatical", "log2_p_ungrammatical", "preference_bits", "prefers"),
)
UNIT_COLUMNS = ("model", "sentence", "unit", "number", "text", "bits")


def as_csv(answer: ModelAnswers) -> str:
    """Return an answer as CSV. A list of pairs has a row per pair and model, others a row per token and per word."""
    if answer.question.kind == "pairs":
        return csv_text(PAIR_COLUMNS, _pair_rows(answer))
    return csv_text(UNIT_COLUMNS, _unit_rows(answer))


def _pair_rows(answer: ModelAnswers) -> Iterator[list[Any]]:
    for number, (good, bad) in enumerate(answer.question.pairs):
        for reading in answer.readings:
            pair = reading.pairs[number]
            bits = [round(value, 4) for value in (-pair.good.bits, -pair.bad.bits, pair.preference)]
            yield [number + 1, good, bad, reading.model, *bits, PREFERS[pair.choice]]


def _unit_rows(answer: ModelAnswers) -> Iterator[list[Any]]:
    for place, kind in enumerate(SENTENCES[answer.question.kind]):
        words = words_of([reading.scores[place] for reading in answer.readings])
        for model, reading in enumerate(answer.readings):
            tokens = [(token.text, token.bits) for token in reading.scores[place].tokens]
            of_words = [(word.text.strip(), word.bits[model]) for word in words]
            for unit, parts in (("token", tokens), ("word", of_words)):
                for number, (text, bits) in enumerate(parts, start=1):
                    yield [reading.model, kind, unit, number, text, round(bits, 4)]


def as_markdown(answer: ModelAnswers) -> str:
    """Return an answer as Markdown: what is on the page in a line, and tables. All text is escaped."""
    kind = answer.question.kind
    summary = {"pair": _pair_summary, "pairs": summarize_pairs, "sentence": _sentence_summary}[kind](answer)
    table = {"pair": _pair_table, "pairs": _list_table, "sentence": _sentence_table}[kind](answer)
    return "\n".join([f"**{escape(summary)}**", "", *table]) + "\n"


def _pair_summary(answer: ModelAnswers) -> str:
    return summarize_preferences(answer.comparisons)


def _sentence_summary(answer: ModelAnswers) -> str:
    return summarize_sentence(answer.readings)


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(escape(cell)) if cell != '' else '' for cell in cells)} |"


def _rule(texts: int, numbers: int) -> str:
    return f"|{'---|' * texts}{'---:|' * numbers}"


def _pair_table(answer: ModelAnswers) -> Iterator[str]:
    good, bad = answer.question.pairs[0]
    yield from (f"- grammatical: {escape(good)}", f"- ungrammatical: {escape(bad)}", "")
    yield _row("model", "log₂ P grammatical", "log₂ P ungrammatical", "prefers", "by, bits")
    yield _rule(1, 2) + "---|---:|"
    for pair in answer.comparisons:
        amounts = [f"{-score.bits:.2f}" for score in (pair.good, pair.bad)]
        yield _row(pair.model, *amounts, PREFERS[pair.choice], f"{abs(pair.preference):.2f}")
    columns = align_words(*(words_of([r.scores[place] for r in answer.readings]) for place in (0, 1)))
    heads = [_name(c.good) if c.same else f"{_name(c.good)} / {_name(c.bad)}" for c in columns]
    yield from _word_header(heads)
    for number, pair in enumerate(answer.comparisons):
        for kind, score, words in (
            ("grammatical", pair.good, [c.good for c in columns]),
            ("ungrammatical", pair.bad, [c.bad for c in columns]),
        ):
            yield _word_row(f"{pair.model}, {kind}", words, number, score)


def _sentence_table(answer: ModelAnswers) -> Iterator[str]:
    yield f"- sentence: {escape(answer.question.sentences[0])}"
    words = words_of([reading.scores[0] for reading in answer.readings])
    yield from _word_header([_name(word) for word in words])
    for number, reading in enumerate(answer.readings):
        yield _word_row(reading.model, words, number, reading.scores[0])


def _word_header(names: Sequence[str]) -> Iterator[str]:
    yield from (
        "",
        "Surprisal word by word, in bits:",
        "",
        _row("", *names, "total"),
        _rule(1, len(names) + 1),
    )


def _word_row(name: str, words: Sequence[Word | None], model: int, score: Score) -> str:
    return _row(name, *(f"{word.bits[model]:.1f}" if word else "" for word in words), f"{score.bits:.1f}")


def _name(word: Word | None) -> str:
    return (word.text.strip() or "␣") if word else "∅"


def _list_table(answer: ModelAnswers) -> Iterator[str]:
    yield _row("#", "grammatical", "ungrammatical", *answer.models)
    yield "|---:|---|---|" + "---:|" * len(answer.models)
    for number, (good, bad) in enumerate(answer.question.pairs):
        yield _row(number + 1, good, bad, *(f"{r.pairs[number].preference:+.1f}" for r in answer.readings))
    yield _row("", "", "mean, bits", *(f"{mean_preference(r):+.1f}" for r in answer.readings))
