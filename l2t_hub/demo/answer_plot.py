"""An answer as a PNG image: bars over tokens for each model, or each model's preference on every pair of a list.

matplotlib draws it on the server, so a picture needs nothing from the network and looks the same in every browser.
"""

import io
import textwrap
from collections.abc import Sequence
from math import ceil
from threading import Lock
from typing import Any

from l2t_hub.demo.answers import ModelAnswers, summarize_pairs, summarize_sentence
from l2t_hub.demo.comparison import Column, PairComparison, summarize_preferences
from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.text import REPLACEMENT, visible

# The colours of page.css in its light theme.
INK, SOFT, LINE = "#111827", "#4b5563", "#d1d5db"
COLOURS = {"both": "#6b7280", "good": "#0072b2", "bad": "#c44e00"}
KEY = {"both": "same tokens so far", "good": "grammatical", "bad": "ungrammatical"}
MODEL_COLOURS, MARKERS = ("#0072b2", "#c44e00", "#007d5a", "#9a4b8c"), "osD^"
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "font.size": 9,
    "hatch.linewidth": 0.6,
}
MOST_COLUMNS = 18
"""Tokens on one axis. More are dealt out evenly over several axes of one scale."""
MOST_AXES = 16
"""Axes in a picture: 72 tokens for each of four models. matplotlib takes a minute for a hundred axes."""
# matplotlib's settings are those of the process.
_one_at_a_time = Lock()
LONGEST_LABEL, LONGEST_MODEL, CHARACTERS_PER_INCH = 14, 60, 12


def as_png(answer: ModelAnswers) -> bytes:
    """Draw an answer. Raises UserError if matplotlib is missing, or if the sentences are too long for a picture."""
    require("plots", "a picture of a comparison")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _one_at_a_time, mpl.rc_context(STYLE):
        figure: Any = Figure(layout="constrained")
        if answer.question.kind == "pairs":
            _draw_list(figure, answer)
        else:
            _draw_bars(figure, answer)
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=120)
    return image.getvalue()


def _draw_bars(figure: Any, answer: ModelAnswers) -> None:
    """Draw a row of axes per model, or several where a sentence is long, all with one scale."""
    from matplotlib.patches import Patch

    if answer.question.kind == "pair":
        comparisons = answer.comparisons
        lines = [summarize_preferences(comparisons)]
        lines += [
            f"{name}: {text}"
            for name, text in zip(("Grammatical", "Ungrammatical"), answer.question.pairs[0], strict=True)
        ]
    else:
        comparisons = [PairComparison(r.model, r.scores[0], r.scores[0]) for r in answer.readings]
        lines = [summarize_sentence(answer.readings), answer.question.sentences[0]]
    runs = [(c, run) for c in comparisons for run in _runs(len(c.columns))]
    if len(runs) > MOST_AXES:
        raise UserError(
            f"The sentences have {sum(len(run) for _, run in runs):,} tokens, and a picture has room for about "
            f"{MOST_AXES * MOST_COLUMNS}.",
            "Choose fewer models or shorter sentences, or download CSV or Markdown.",
        )
    widest = max((len(run) for _, run in runs), default=1)
    _set_size(figure, max(6.5, 0.62 * widest + 1), 1.75 * len(runs) + 0.5, lines)
    top = max((t.bits for c in comparisons for t in (*c.good.tokens, *c.bad.tokens)), default=1.0) or 1.0
    for number, (comparison, run) in enumerate(runs):
        axes = figure.add_subplot(len(runs), 1, number + 1)
        _draw_run(axes, comparison, run)
        axes.set_ylim(0, 1.12 * top)
        axes.set_xlim(run.start - 0.6, run.start + widest - 0.4)
        if run.start == 0:
            axes.set_title(_short(comparison.model, LONGEST_MODEL), loc="left", fontsize=9, fontweight="bold")
    if answer.question.kind == "pair":
        key = [
            Patch(facecolor=COLOURS[kind], hatch=_hatch(kind), edgecolor="white", lw=0, label=label)
            for kind, label in KEY.items()
        ]
        figure.legend(handles=key, loc="outside lower left", ncols=3, frameon=False, fontsize=8)


def _runs(count: int) -> list[range]:
    """Deal columns out over axes so that none has only the last few."""
    rows = max(1, ceil(count / MOST_COLUMNS))
    size = ceil(count / rows)
    return [range(start, min(start + size, count)) for start in range(0, count, size or 1)]


def _draw_run(axes: Any, comparison: PairComparison, run: range) -> None:
    for place in run:
        column, shared = comparison.columns[place], place < comparison.critical.start
        bars = (
            [("both", column.good, 0.0)]
            if shared
            else [("good", column.good, -0.21), ("bad", column.bad, 0.21)]
        )
        for kind, token, shift in bars:
            if token is not None:
                axes.bar(
                    place + shift,
                    token.bits,
                    0.38,
                    color=COLOURS[kind],
                    hatch=_hatch(kind),
                    edgecolor="white",
                    lw=0,
                )
                label = f"{token.bits:.1f}" if token.bits < 9.95 else f"{token.bits:.0f}"
                axes.text(place + shift, token.bits, label, ha="center", va="bottom", fontsize=7)
    if critical := [place for place in run if place in comparison.critical]:
        axes.axvspan(critical[0] - 0.5, critical[-1] + 0.5, color=LINE, alpha=0.45, zorder=0, lw=0)
    labels = [_label(comparison.columns[place]) for place in run]
    axes.set_xticks(list(run), labels, fontsize=7.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set_ylabel("bits", fontsize=8, color=SOFT)


def _hatch(kind: str) -> str | None:
    return "////" if kind == "bad" else None


def _label(column: Column) -> str:
    good, bad = (
        _short(t.text.strip() or "␣", LONGEST_LABEL) if t else "∅" for t in (column.good, column.bad)
    )
    return good if column.same else f"{good}\n{bad}"


def _draw_list(figure: Any, answer: ModelAnswers) -> None:
    """Draw a point per pair and model, above zero where the model prefers the grammatical sentence."""
    total = len(answer.question.pairs)
    _set_size(figure, max(6.5, min(16, 2 + 0.11 * total)), 3.8, [summarize_pairs(answer)])
    axes = figure.add_subplot()
    step = 0.5 / len(answer.readings)
    for number, (reading, colour, marker) in enumerate(
        zip(answer.readings, MODEL_COLOURS, MARKERS, strict=False)
    ):
        places = [place + (number + 0.5) * step - 0.25 for place in range(1, total + 1)]
        values = [pair.preference for pair in reading.pairs]
        # A zero-width space: matplotlib hides names that start with an underscore.
        label = "\u200b" + _short(reading.model, LONGEST_MODEL)
        axes.plot(places, values, marker, ms=4, color=colour, label=label, mec="white", mew=0.4)
    axes.axhline(0, color=INK, lw=1)
    axes.grid(axis="y")
    axes.set_xlabel("pair")
    axes.set_ylabel("bits for the grammatical sentence")
    axes.set_xlim(0.4, total + 0.6)
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower left", ncols=2, frameon=False)


def _set_size(figure: Any, width: float, height: float, lines: Sequence[str]) -> None:
    """Set the size in inches, with `lines` as wrapped text above the axes."""
    most = int(CHARACTERS_PER_INCH * width)
    wrapped = [
        part for line in lines for part in textwrap.wrap(_plain(line), most, max_lines=3, placeholder=" …")
    ]
    figure.set_size_inches(width, height + 0.16 * len(wrapped))
    figure.get_layout_engine().set(h_pad=0.1)
    figure.suptitle("\n".join(wrapped), x=0.01, ha="left", fontsize=9)


def _short(text: str, most: int) -> str:
    shown = _plain(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _plain(text: str) -> str:
    """Return text as one line that a picture can show: format characters have no shape."""
    return " ".join(visible(text).replace("\t", " ").split()) or REPLACEMENT
