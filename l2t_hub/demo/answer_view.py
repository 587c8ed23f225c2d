"""Renders an answer as HTML: a summary line, a card per model, the word matrix, or the table of a list of pairs."""

from collections.abc import Sequence
from urllib.parse import urlencode

from l2t_hub.demo.answers import (
    PREFERS,
    ModelAnswers,
    ModelReading,
    mean_preference,
    summarize_pairs,
    summarize_sentence,
)
from l2t_hub.demo.comparison import TIE_BITS, PairComparison, sentence_name, summarize_preferences
from l2t_hub.demo.matrix_view import pair_matrix, sentence_matrix
from l2t_hub.demo.token_view import coloured_text, figure, grid_step, pair_numbers, sentence_numbers
from l2t_hub.demo.view import notices, scrolling, signed, visible
from l2t_hub.scoring import Score

MARKS = {"good": "✓", "bad": "✗", "tie": "="}


def answer_page(answer: ModelAnswers) -> str:
    """Return the whole result, with what was changed about the input above it."""
    render = {"pair": _pair_page, "pairs": _pairs_page, "sentence": _sentence_page}[answer.question.kind]
    tokens = (t.bits for reading in answer.readings for score in reading.scores for t in score.tokens)
    top = max(tokens, default=1.0) or 1.0
    # Style attributes hold numbers only, never text from a user.
    return (
        f'<div class="l2t" style="--grid:{min(grid_step(top) / top, 1):.4f}">'
        f"{notices(answer.question.notices)}{render(answer, top)}</div>"
    )


def _summary(line: str) -> str:
    return f'<p class="l2t-summary" role="status">{visible(line)}</p>'


def _pair_page(answer: ModelAnswers, top: float) -> str:
    comparisons = answer.comparisons
    cards = "".join(_pair_card(comparison, top) for comparison in comparisons)
    words = pair_matrix(answer.models, [c.good for c in comparisons], [c.bad for c in comparisons])
    key = (
        '<li><span class="l2t-swatch l2t-both"></span>same tokens so far</li>'
        '<li><span class="l2t-swatch l2t-good"></span>grammatical</li>'
        '<li><span class="l2t-swatch l2t-bad"></span>ungrammatical</li>'
        '<li><span class="l2t-swatch l2t-frame"></span>first difference</li>'
    )
    return (
        f"{_summary(summarize_preferences(comparisons))}{_key(key, top)}"
        f'<div class="l2t-cards">{cards}</div>{words}'
    )


def _sentence_page(answer: ModelAnswers, top: float) -> str:
    cards = "".join(_sentence_card(reading, top) for reading in answer.readings)
    words = sentence_matrix(answer.models, [reading.scores[0] for reading in answer.readings])
    return (
        f"{_summary(summarize_sentence(answer.readings))}{_key('', top)}"
        f'<div class="l2t-cards">{cards}</div>{words}'
    )


def _key(entries: str, top: float) -> str:
    step = grid_step(top)
    unit = "bit" if step == 1 else "bits"
    return (
        f'<ul class="l2t-key">{entries}'
        f"<li>taller and darker = more surprising; one line every {step} {unit}</li></ul>"
    )


def _pair_card(comparison: PairComparison, top: float) -> str:
    badge = {
        "good": '<p class="l2t-badge l2t-right"><span aria-hidden="true">✓</span> ',
        "bad": '<p class="l2t-badge l2t-wrong"><span aria-hidden="true">✗</span> ',
        "tie": '<p class="l2t-badge"><span aria-hidden="true">=</span> ',
    }[comparison.choice]
    rows = "".join(
        _total_row(score, kind, top, comparison.choice == kind)
        for kind, score in (("good", comparison.good), ("bad", comparison.bad))
    )
    return _card(
        comparison.model,
        f"{badge}{preference_text(comparison)}</p>{_odds(abs(comparison.preference))}"
        f"{_totals(rows)}{figure(comparison, top)}{pair_numbers(comparison)}",
    )


def _sentence_card(reading: ModelReading, top: float) -> str:
    score = reading.scores[0]
    drawn = figure(PairComparison(reading.model, score, score), top)
    return _card(
        reading.model,
        f"{_totals(_total_row(score, 'both', top, False))}{drawn}{sentence_numbers(reading.model, score)}",
    )


def _card(model: str, content: str) -> str:
    return f'<article class="l2t-card" data-model="{visible(model)}"><h3>{visible(model)}</h3>{content}</article>'


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


def _total_row(score: Score, kind: str, top: float, is_chosen: bool) -> str:
    name = f'<span class="l2t-kind">{PREFERS[kind]}: </span>' if kind in PREFERS else ""
    return (
        f'<tr class="l2t-{kind}{" l2t-chosen" if is_chosen else ""}">'
        f'<th scope="row"><span class="l2t-swatch l2t-{kind}"></span>{name}{coloured_text(score, kind, top)}</th>'
        f'<td data-score="{kind}">{signed(-score.bits)}</td>'
        f"<td>{score.bits / max(len(score.tokens), 1):.2f}</td></tr>"
    )


def _totals(rows: str) -> str:
    return (
        '<table class="l2t-totals"><thead><tr><th scope="col">Sentence</th>'
        '<th scope="col" title="base-2 logarithm of the probability of the whole sentence">log₂ P</th>'
        '<th scope="col">bits per token</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _pairs_page(answer: ModelAnswers, top: float) -> str:
    total = len(answer.question.pairs)
    differ = set(answer.disagreements)
    rows = []
    for number, (good, bad) in enumerate(answer.question.pairs):
        split = number in differ
        mark = '<abbr title="the models disagree">≠</abbr>' if split else ""
        cells = "".join(_preference_cell(reading.pairs[number]) for reading in answer.readings)
        rows.append(
            f"<tr{' class=l2t-split' if split else ''}>"
            f'<th scope="row">{_opened(answer.models, number, good, bad)}</th><td>{mark}</td><td>'
            f'<span class="l2t-kindmark l2t-good"><bdi>{visible(good)}</bdi></span>'
            f'<span class="l2t-kindmark l2t-bad"><bdi>{visible(bad)}</bdi></span></td>{cells}</tr>'
        )
    models = "".join(f'<th scope="col">{visible(model)}</th>' for model in answer.models)
    right = "".join(f"<td>{r.count('good')} of {total}</td>" for r in answer.readings)
    mean = "".join(f"<td>{signed(mean_preference(r), plus=True)}</td>" for r in answer.readings)
    table = (
        '<table class="l2t-pairs"><thead><tr><th scope="col">#</th><td></td><th scope="col">Pair</th>'
        f"{models}</tr></thead><tbody>{''.join(rows)}</tbody><tfoot>"
        f'<tr><th></th><td></td><th scope="row">grammatical preferred</th>{right}</tr>'
        f'<tr><th></th><td></td><th scope="row">mean preference, bits</th>{mean}</tr></tfoot></table>'
    )
    note = (
        "Bits by which a model prefers the grammatical sentence (✓), or with a minus the ungrammatical one (✗). "
        "= is a tie; ≠ marks pairs on which the models disagree."
    )
    shown = scrolling(table, "The pairs and what each model prefers")
    return f"{_summary(summarize_pairs(answer))}<p>{note}</p>{shown}"


def _opened(models: Sequence[str], number: int, good: str, bad: str) -> str:
    """Return the number of a pair, as a link that opens the pair by itself."""
    query = urlencode({"tab": "compare", "models": models, "good": good, "bad": bad}, doseq=True)
    return f'<a href="?{visible(query)}" title="Compare the models on this pair">{number + 1}</a>'


def _preference_cell(pair: PairComparison) -> str:
    kind = {"good": "right", "bad": "wrong", "tie": "tie"}[pair.choice]
    return (
        f'<td class="l2t-choice l2t-{kind}"><span aria-hidden="true">{MARKS[pair.choice]}</span>'
        f'<span class="l2t-kind">{PREFERS[pair.choice]}</span> {signed(pair.preference, plus=True)}</td>'
    )
