"""The word matrix as an HTML table: words are columns, models are rows, and a row adds up to its total."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from l2t_hub.demo.comparison import critical_region
from l2t_hub.demo.token_view import share
from l2t_hub.demo.view import scrolling, token_label, visible
from l2t_hub.demo.word_matrix import Word, WordColumn, align_words, words_of
from l2t_hub.scoring import Score

NOTE = "A word's bits are the sum of its tokens'. Words that a model reads as one token share a column."


@dataclass(frozen=True)
class _Place:
    """A column of the table: its word, or its two words, and whether the sentences part here."""

    column: WordColumn
    parts_here: bool


def sentence_matrix(models: Sequence[str], scores: Sequence[Score]) -> str:
    """Return the matrix of a sentence: a row per model."""
    words = words_of(scores)
    top = _most_bits(words)
    rows = [
        f'<tr><th scope="row">{visible(model)}</th>'
        f"{''.join(_cell(word, number, 'both', top) for word in words)}{_total(score)}</tr>"
        for number, (model, score) in enumerate(zip(models, scores, strict=True))
    ]
    places = [_Place(WordColumn(word, word), False) for word in words]
    note = f"{_widest(models, words, '')} {NOTE}"
    return _section(_table(places, rows), note)


def pair_matrix(models: Sequence[str], good: Sequence[Score], bad: Sequence[Score]) -> str:
    """Return the matrix of a pair: two rows per model, which share the cells before the sentences part."""
    good_words, bad_words = words_of(good), words_of(bad)
    top = _most_bits([*good_words, *bad_words])
    columns = align_words(good_words, bad_words)
    region = critical_region(columns)
    places = [_Place(column, number in region) for number, column in enumerate(columns)]
    rows = []
    for number, model in enumerate(models):
        first = (
            f'<th scope="row">{visible(model)}: <span class="l2t-kindmark l2t-good">grammatical</span></th>'
        )
        second = (
            f'<th scope="row">{visible(model)}: <span class="l2t-kindmark l2t-bad">ungrammatical</span></th>'
        )
        for place in places:
            column, shared = place.column, place.column.shared
            mark = " l2t-critical" if place.parts_here else ""
            first += _cell(column.good, number, "both" if shared else "good", top, mark, 2 if shared else 1)
            second += "" if shared else _cell(column.bad, number, "bad", top, mark)
        rows += [
            f'<tr class="l2t-group">{first}{_total(good[number])}</tr>',
            f"<tr>{second}{_total(bad[number])}</tr>",
        ]
    widest = _widest(
        models, [c.bad for c in columns if c.bad and not c.shared], " in the ungrammatical sentence"
    )
    return _section(_table(places, rows), f"{widest} {NOTE}")


def _most_bits(words: Sequence[Word]) -> float:
    return max((bits for word in words for bits in word.bits), default=1.0) or 1.0


def _table(places: Sequence[_Place], rows: Iterable[str]) -> str:
    header = "".join(_heading(place) for place in places)
    return (
        '<table class="l2t-matrix"><thead><tr><th scope="col">bits per word</th>'
        f'{header}<th scope="col">total</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _heading(place: _Place) -> str:
    mark = ' class="l2t-critical"' if place.parts_here else ""
    good, bad = place.column.good, place.column.bad
    if place.column.same and good:
        return f'<th scope="col"{mark}><bdi>{token_label(good.text)}</bdi></th>'
    halves = "".join(
        f'<span class="l2t-kindmark l2t-{kind}"><bdi>{token_label(word.text) if word else "∅"}</bdi></span>'
        for kind, word in (("good", good), ("bad", bad))
    )
    return f'<th scope="col"{mark}>{halves}</th>'


def _cell(word: Word | None, model: int, kind: str, top: float, mark: str = "", rows: int = 1) -> str:
    if word is None:
        return f'<td class="l2t-empty{mark}">∅</td>'
    span = f' rowspan="{rows}"' if rows > 1 else ""
    bits = word.bits[model]
    return f'<td{span} class="l2t-tint l2t-{kind}{mark}" style="--s:{share(bits, top):.4f}">{bits:.1f}</td>'


def _total(score: Score) -> str:
    return f'<td class="l2t-sum">{score.bits:.1f}</td>'


def _widest(models: Sequence[str], words: Sequence[Word], where: str) -> str:
    """Say at which word the models differ most; nothing for one model."""
    if len(models) < 2 or not words:
        return ""
    word = max(words, key=lambda word: word.spread)
    values = ", ".join(f"{model} {bits:.1f}" for model, bits in zip(models, word.bits, strict=True))
    return f"The models differ most{where} at “{word.text.strip()}”: {values} bits."


def _section(table: str, note: str) -> str:
    return (
        f'<section class="l2t-words"><h3>Word by word</h3><p>{visible(note.strip())}</p>'
        f"{scrolling(table, 'Surprisal word by word')}</section>"
    )
