"""Surprisal token by token as HTML: coloured text, bars over tokens, and the numbers as a table."""

from l2t_hub.demo.comparison import Column, PairComparison
from l2t_hub.demo.view import scrolling, signed, token_label, visible
from l2t_hub.demo.word_matrix import pieces_of
from l2t_hub.scoring import Score, Token

GRID_STEPS = (1, 2, 5, 10, 20, 50, 100)
GRID_LINES = 4
"""Maximum number of grid lines behind the tallest bar. One of `GRID_STEPS` is the distance between them in bits."""


def grid_step(top: float) -> int:
    """Return the distance between grid lines, in bits, for bars up to `top` bits."""
    return next((step for step in GRID_STEPS if top / step <= GRID_LINES), GRID_STEPS[-1])


def coloured_text(score: Score, kind: str, top: float) -> str:
    """Return a sentence as running text, each token tinted by its surprisal: `top` bits is the deepest tint."""
    spans = "".join(
        f'<span class="l2t-piece l2t-{kind}" style="--s:{share(piece.bits[0], top):.4f}" '
        f'title="{visible(repr(piece.text))}: {piece.bits[0]:.2f} bits">{visible(piece.text)}</span>'
        for piece in pieces_of(score)
    )
    return f'<bdi class="l2t-text">{spans}</bdi>'


def figure(comparison: PairComparison, top: float) -> str:
    """Return bars over coloured tokens, a column per aligned position, on one axis. A sentence is a pair with itself.

    `top` is the surprisal in bits of the tallest bar. All figures on a page share it, so that models can be compared
    by eye. Before the first difference, both sentences have the same tokens and context, so one bar is enough.
    """
    parts = []
    first_difference = comparison.critical.start
    for i, column in enumerate(comparison.columns):
        shared = i < first_difference
        classes = "l2t-column"
        if i in comparison.critical:
            classes += " l2t-critical"
            classes += " l2t-first" if i == first_difference else ""
            classes += " l2t-last" if i == comparison.critical.stop - 1 else ""
        if _continues_word(column, comparison):
            classes += " l2t-joined"
        kinds = (("both", column.good),) if shared else (("good", column.good), ("bad", column.bad))
        bars = "".join(_bar(kind, token, top) for kind, token in kinds)
        chips = "".join(_chip(kind, token, top) for kind, token in kinds)
        parts.append(f'<div class="{classes}"><div class="l2t-bars">{bars}</div>{chips}</div>')
    label = f"Surprisal of each token under {comparison.model}; the numbers are in the table below"
    drawn = f'<div class="l2t-figure" role="img" aria-label="{visible(label)}">{"".join(parts)}</div>'
    return scrolling(drawn, f"Bars of {comparison.model}")


def _continues_word(column: Column, comparison: PairComparison) -> bool:
    token, sentence = (column.good, comparison.good) if column.good else (column.bad, comparison.bad)
    if token is None or token.start == 0:
        return False
    return sentence.sentence[token.start - 1].isalnum() and token.text[:1].isalnum()


def _bar(kind: str, token: Token | None, top: float) -> str:
    if token is None:
        return '<span class="l2t-bar l2t-absent"></span>'
    # Three characters at most, so that labels of neighbouring bars never meet.
    label = f"{token.bits:.1f}" if token.bits < 9.95 else f"{token.bits:.0f}"
    return f'<span class="l2t-bar l2t-{kind}" style="--s:{share(token.bits, top):.4f}"><i>{label}</i></span>'


def _chip(kind: str, token: Token | None, top: float) -> str:
    if token is None:
        return f'<span class="l2t-token l2t-{kind} l2t-absent">∅</span>'
    title = f"{visible(repr(token.text))}: {token.bits:.2f} bits"
    return (
        f'<span class="l2t-token l2t-{kind}" style="--s:{share(token.bits, top):.4f}" title="{title}">'
        f"<bdi>{token_label(token.text)}</bdi></span>"
    )


def share(bits: float, top: float) -> float:
    """Return surprisal as a share of `top`, from 0 to 1."""
    return min(max(bits / top, 0.0), 1.0)


def pair_numbers(comparison: PairComparison) -> str:
    """Return the tokens of a pair and their surprisal as a table, closed at first."""
    rows = []
    for i, column in enumerate(comparison.columns):
        cells = "".join(
            f"<td><bdi>{token_label(t.text)}</bdi></td><td>{t.bits:.2f}</td>" if t else "<td>∅</td><td></td>"
            for t in (column.good, column.bad)
        )
        difference = signed(column.bad.bits - column.good.bits) if column.good and column.bad else ""
        mark = ' class="l2t-critical"' if i in comparison.critical else ""
        rows.append(f"<tr{mark}>{cells}<td>{difference}</td></tr>")
    header = (
        '<th scope="col">grammatical</th><th scope="col">bits</th>'
        '<th scope="col">ungrammatical</th><th scope="col">bits</th>'
        '<th scope="col" title="ungrammatical minus grammatical, in bits">Δ</th>'
    )
    return _numbers(header, rows, comparison.model)


def sentence_numbers(model: str, score: Score) -> str:
    """Return the tokens of a sentence and their surprisal as a table, closed at first."""
    rows = [
        f"<tr><td><bdi>{token_label(token.text)}</bdi></td><td>{token.bits:.2f}</td></tr>"
        for token in score.tokens
    ]
    return _numbers('<th scope="col">token</th><th scope="col">bits</th>', rows, model)


def _numbers(header: str, rows: list[str], model: str) -> str:
    table = f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return (
        '<details class="l2t-numbers"><summary>Numbers</summary>'
        f"{scrolling(table, f'Numbers of {model}')}</details>"
    )
