"""Renders comparisons as HTML: a summary line, and for each model its totals, bars and coloured tokens.

All text from users and models goes through `visible`, so that it is never read as markup, and control characters
cannot rearrange the page.
"""

import unicodedata
from collections.abc import Sequence
from html import escape

from l2t_hub.demo.comparison import TIE_BITS, Column, PairComparison, sentence_name, summarize_preferences
from l2t_hub.scoring import Token

GRID_STEPS = (1, 2, 5, 10, 20, 50, 100)
GRID_LINES = 4
"""Maximum number of grid lines behind the tallest bar. One of `GRID_STEPS` is the distance between them in bits."""

NAMES = {"good": "grammatical", "bad": "ungrammatical"}
JOINERS = frozenset("\u200c\u200d")


def visible(text: str) -> str:
    """Escape a text for HTML and replace control and direction characters by visible ones."""
    return escape("".join(_symbol(character) for character in text), quote=True)


def _symbol(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS:
        return f"[U+{code:04X}]"
    return character


def token_label(text: str) -> str:
    """Return the label of a token as HTML: no leading space, other spaces made visible."""
    stripped = text.removeprefix(" ")
    return visible(stripped) if stripped.strip(" ") else "\u2423" * max(len(text), 1)


def comparison_page(comparisons: Sequence[PairComparison]) -> str:
    """Return the whole result: the summary line, the key to the figures, and one card per model."""
    top = max((t.bits for c in comparisons for t in (*c.good.tokens, *c.bad.tokens)), default=1.0) or 1.0
    step = next((s for s in GRID_STEPS if top / s <= GRID_LINES), GRID_STEPS[-1])
    cards = "".join(_card(comparison, top) for comparison in comparisons)
    # Style attributes hold numbers only, never text from a user.
    return (
        f'<div class="l2t" style="--grid:{min(step / top, 1):.4f}">'
        f'<p class="l2t-summary" role="status">{visible(summarize_preferences(comparisons))}</p>'
        f"{_key(step)}"
        f'<div class="l2t-cards">{cards}</div></div>'
    )


def message_page(message: str, hint: str | None = None) -> str:
    """Return an error message in place of the figures: what is wrong, and what to do."""
    more = f"<p>{visible(hint)}</p>" if hint else ""
    return (
        '<div class="l2t"><div class="l2t-message" role="alert">'
        f"<p><b>{visible(message)}</b></p>{more}</div></div>"
    )


def _key(step: float) -> str:
    unit = "bit" if step == 1 else "bits"
    return (
        '<ul class="l2t-key">'
        '<li><span class="l2t-swatch l2t-both"></span>same tokens so far</li>'
        '<li><span class="l2t-swatch l2t-good"></span>grammatical</li>'
        '<li><span class="l2t-swatch l2t-bad"></span>ungrammatical</li>'
        '<li><span class="l2t-swatch l2t-frame"></span>first difference</li>'
        f"<li>taller and darker = more surprising; one line every {step} {unit}</li></ul>"
    )


def _card(comparison: PairComparison, top: float) -> str:
    badge = {
        "good": '<p class="l2t-badge l2t-right"><span aria-hidden="true">✓</span> ',
        "bad": '<p class="l2t-badge l2t-wrong"><span aria-hidden="true">✗</span> ',
        "tie": '<p class="l2t-badge"><span aria-hidden="true">=</span> ',
    }[comparison.choice]
    return (
        f'<article class="l2t-card" data-model="{visible(comparison.model)}">'
        f"<h3>{visible(comparison.model)}</h3>"
        f"{badge}{preference_text(comparison)}</p>{_odds(abs(comparison.preference))}"
        f"{_totals(comparison)}"
        f"{figure(comparison, top)}"
        f"{_numbers(comparison)}</article>"
    )


def preference_text(comparison: PairComparison) -> str:
    """Return what the model prefers, and by how much, in a few words."""
    if comparison.choice == "tie":
        return "finds both equally probable"
    return f"prefers {sentence_name(comparison.choice)} by {abs(comparison.preference):.1f} bits"


def _odds(bits: float) -> str:
    if bits > 20:
        times = "over a million times"
    else:
        times = f"{2.0**bits:.1f} times" if bits < 3.3 else f"{2.0**bits:,.0f} times"
    return f'<p class="l2t-odds">{times} as probable as the other</p>' if bits >= TIE_BITS else ""


def _totals(comparison: PairComparison) -> str:
    rows = []
    for kind, score in (("good", comparison.good), ("bad", comparison.bad)):
        chosen = " l2t-chosen" if comparison.choice == kind else ""
        rows.append(
            f'<tr class="l2t-{kind}{chosen}"><th scope="row"><span class="l2t-swatch l2t-{kind}"></span>'
            f'<span class="l2t-kind">{NAMES[kind]}: </span><bdi>{visible(score.sentence)}</bdi></th>'
            f'<td data-score="{kind}">{_signed(-score.bits)}</td>'
            f"<td>{score.bits / max(len(score.tokens), 1):.2f}</td></tr>"
        )
    return (
        '<table class="l2t-totals"><thead><tr><th scope="col">Sentence</th>'
        '<th scope="col" title="base-2 logarithm of the probability of the whole sentence">log₂ P</th>'
        '<th scope="col">bits per token</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _signed(number: float) -> str:
    return f"{number:.1f}".replace("-", "\u2212")


def figure(comparison: PairComparison, top: float) -> str:
    """Return bars over coloured tokens, a column per aligned position. Columns wrap on narrow screens.

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
    return f'<div class="l2t-figure" role="img" aria-label="{visible(label)}">{"".join(parts)}</div>'


def _continues_word(column: Column, comparison: PairComparison) -> bool:
    token, sentence = (column.good, comparison.good) if column.good else (column.bad, comparison.bad)
    if token is None or token.start == 0:
        return False
    return sentence.sentence[token.start - 1].isalnum() and token.text[:1].isalnum()


def _bar(kind: str, token: Token | None, top: float) -> str:
    if token is None:
        return '<span class="l2t-bar l2t-absent"></span>'
    return f'<span class="l2t-bar l2t-{kind}" style="--s:{_share(token, top):.4f}"><i>{token.bits:.1f}</i></span>'


def _chip(kind: str, token: Token | None, top: float) -> str:
    if token is None:
        return f'<span class="l2t-token l2t-{kind} l2t-absent">∅</span>'
    title = f"{visible(repr(token.text))}: {token.bits:.2f} bits"
    return (
        f'<span class="l2t-token l2t-{kind}" style="--s:{_share(token, top):.4f}" title="{title}">'
        f"<bdi>{token_label(token.text)}</bdi></span>"
    )


def _share(token: Token, top: float) -> float:
    return min(max(token.bits / top, 0.0), 1.0)


def _numbers(comparison: PairComparison) -> str:
    rows = []
    for i, column in enumerate(comparison.columns):
        cells = "".join(
            f"<td><bdi>{token_label(t.text)}</bdi></td><td>{t.bits:.2f}</td>" if t else "<td>∅</td><td></td>"
            for t in (column.good, column.bad)
        )
        difference = _signed(column.bad.bits - column.good.bits) if column.good and column.bad else ""
        mark = ' class="l2t-critical"' if i in comparison.critical else ""
        rows.append(f"<tr{mark}>{cells}<td>{difference}</td></tr>")
    return (
        '<details class="l2t-numbers"><summary>Numbers</summary><div><table><thead><tr>'
        '<th scope="col">grammatical</th><th scope="col">bits</th>'
        '<th scope="col">ungrammatical</th><th scope="col">bits</th>'
        '<th scope="col" title="ungrammatical minus grammatical, in bits">Δ</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )
