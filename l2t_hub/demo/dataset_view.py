"""Renders a page of a dataset, its mixture and its ledger as HTML. Everything in it may be a stranger's text."""

from collections.abc import Iterator, Sequence

from l2t_hub.dataset.ledger import RAW
from l2t_hub.demo.changed_parts import Spans, changed_parts
from l2t_hub.demo.dataset_facts import DatasetFacts, LedgerStage, MixturePart
from l2t_hub.demo.dataset_page import DatasetPage, PageRow
from l2t_hub.demo.dataset_rows import CutText
from l2t_hub.demo.view import marked, notices, scrolling, visible
from l2t_hub.text import counted

TITLES = {"prompt": "Prompt", "anchor": "Anchor", "completion": "Answer", "text": "Text"}
_MISSING = '<span class="l2t-absent">(missing)</span>'
MAX_NAME = 200


def rows_html(page: DatasetPage) -> str:
    """Return the rows of a page as cards, after a line that says which they are, and what is to be noticed."""
    place = f"Page {page.page:,} of {page.pages:,}."
    cards = "".join(_card(page, row) for row in page.rows)
    return (
        f'<div class="l2t l2t-dataset"><p class="l2t-summary" role="status">{visible(page.dataset)}: '
        f"{visible(page.title)}</p><p>{place}</p>{notices(page.notices)}{cards}</div>"
    )


def _card(page: DatasetPage, row: PageRow) -> str:
    facts = " · ".join(_row_facts(page, row))
    marks = _marks(row)
    texts = [
        part
        for name, title in TITLES.items()
        if name in row.columns
        for part in _part(title, row.columns[name], marks.get(name, ()))
    ]
    texts += [part for n, text in enumerate(row.texts, 1) for part in _part(f"Text {n}", text)]
    if row.padding:
        texts.append(f'<p class="l2t-facts">{counted(row.padding, "position")} of padding</p>')
    return (
        f'<article class="l2t-card l2t-row"><h3>Row {row.number + 1:,}</h3><p class="l2t-facts">{facts}</p>'
        f"{''.join(texts)}</article>"
    )


def _row_facts(page: DatasetPage, row: PageRow) -> Iterator[str]:
    if page.view == "examples":
        yield f"task <b>{_name(row.columns.get('task'))}</b>"
    if "kind" in row.columns:
        yield f"kind <b>{_name(row.columns['kind'])}</b>"
    if "document_id" in row.columns:
        yield f"document <bdi>{_name(row.columns['document_id'])}</bdi>"
    for name in ("block", "tokens"):
        value = row.columns.get(name)
        if isinstance(value, int):
            yield f"{name} {value:,}" if name == "block" else counted(value, "token")


def _name(value: CutText | int | None) -> str:
    """Return a short text as HTML, cut where a row's own name is no short text."""
    if not isinstance(value, CutText):
        return _MISSING
    return visible(value.text[:MAX_NAME]) + ("…" if len(value.text) > MAX_NAME else "")


def _marks(row: PageRow) -> dict[str, Spans]:
    """Return what changed in the prompt and in the answer of an example, by column."""
    task, prompt, answer = (row.columns.get(name) for name in ("task", "prompt", "completion"))
    if not (isinstance(task, CutText) and isinstance(prompt, CutText) and isinstance(answer, CutText)):
        return {}
    if prompt.whole or answer.whole:
        return {}
    added, removed = changed_parts(task.text, prompt.text, answer.text)
    return {"prompt": added, "completion": removed}


def _part(title: str, value: CutText | int | None, marks: Spans = ()) -> Iterator[str]:
    """Yield a text with its title, and with a notice if it is cut."""
    if value == CutText("") and title == "Anchor":
        return
    text = value if isinstance(value, CutText) else CutText("")
    body = marked(text.text, marks, "mark") if text is value else _MISSING
    cut = notices([f"Cut here. The whole text has {text.whole}."] if text.whole else [])
    yield f'<h4>{title}</h4><p class="l2t-text"><bdi>{body}</bdi></p>{cut}'


def facts_html(facts: DatasetFacts) -> str:
    """Return mixture and ledger as tables with bars, and a sentence that says whether the ledger adds up."""
    revision = f" at {visible(facts.revision[:12])}" if facts.revision else ""
    return (
        '<div class="l2t l2t-dataset">'
        f"<p>{visible(facts.repo or facts.dataset)}{revision}, fingerprint {visible(facts.fingerprint[:12])}. "
        f"Made from <bdi>{visible(facts.source[:MAX_NAME])}</bdi>. Tokenizer: "
        f"<bdi>{visible(facts.tokenizer[:MAX_NAME])}</bdi>.</p>"
        f"{_mixture(facts)}{_ledger(facts.stages, facts.problems)}</div>"
    )


def _mixture(facts: DatasetFacts) -> str:
    shares = [f"{share:.1%} of the {unit}" for unit, share in facts.raw_share.items() if share is not None]
    raw = f" Raw text is {' and '.join(shares)}." if shares else ""
    most = max((share for part in facts.parts for share in (part.token_share, part.example_share)), default=1)
    rows = "".join(_mixture_row(part, most) for part in facts.parts)
    heads = _heads("part", "documents", "examples", "|share of examples", "tokens", "|share of tokens")
    table = f'<table class="l2t-shares"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return (
        f"<h3>Mixture</h3><p>The recipe asks for: {visible(facts.asked)}.{raw}</p>"
        f"{scrolling(table, 'Mixture')}"
    )


def _mixture_row(part: MixturePart, most: float) -> str:
    kind = "raw" if part.name == RAW else "task"
    name = "raw text" if part.name == RAW else part.name
    level = f' <span class="l2t-facts">{visible(part.level)}</span>' if part.level else ""
    examples = (f"{part.examples:,}", _bar(part.example_share, kind, most)) if kind == "task" else ("–", "–")
    return (
        f'<tr data-part="{visible(part.name)}"><th scope="row"><bdi>{visible(name)}</bdi>{level}</th>'
        f'<td>{part.documents:,}</td><td>{examples[0]}</td><td class="l2t-barred">{examples[1]}</td>'
        f"<td>{part.tokens:,}</td>"
        f'<td class="l2t-barred">{_bar(part.token_share, kind, most)}</td></tr>'
    )


def _bar(share: float, kind: str, most: float = 1) -> str:
    """Return a share with a bar, which is full for the share `most`. Style attributes hold numbers only."""
    width = min(max(share / most if most else 0.0, 0.0), 1.0)
    return (
        f'<span class="l2t-percent">{share:.1%}</span>'
        f'<span class="l2t-share-bar l2t-{kind}" style="--s:{width:.4f}" aria-hidden="true"></span>'
    )


def _ledger(stages: Sequence[LedgerStage], problems: Sequence[str]) -> str:
    if problems:
        listed = "".join(f"<li>{visible(problem[: 2 * MAX_NAME])}</li>" for problem in problems)
        verdict = f'<div class="l2t-message"><p><b>The ledger does not add up.</b></p><ul>{listed}</ul></div>'
    else:
        verdict = (
            "<p><b>✓ It adds up:</b> at each stage, what came in is what went out and what was dropped.</p>"
        )
    rows = "".join(_ledger_row(stage) for stage in stages)
    heads = _heads("stage", "came in", "went out", "|share that went out", "dropped, by reason")
    table = f'<table class="l2t-ledger"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f"<h3>Ledger</h3>{verdict}{scrolling(table, 'Ledger')}"


def _heads(*titles: str) -> str:
    """Return the cells of a table's head. A bar at the start of a title says that its column has bars."""
    return "".join(
        f'<th scope="col" class="{"l2t-barred" if title.startswith("|") else ""}">{title.removeprefix("|")}</th>'
        for title in titles
    )


def _ledger_row(stage: LedgerStage) -> str:
    reasons = "".join(f"<li>{count:,} {visible(reason[:MAX_NAME])}</li>" for reason, count in stage.dropped)
    dropped = f"<ul>{reasons}</ul>" if reasons else "nothing"
    kept = _bar(stage.went_out / stage.came_in if stage.came_in else 0.0, "task")
    return (
        f'<tr><th scope="row">{visible(stage.stage)}</th>'
        f"<td>{stage.came_in:,}<br>{visible(stage.came_in_what)}</td>"
        f"<td>{stage.went_out:,}<br>{visible(stage.went_out_what)}</td>"
        f'<td class="l2t-barred">{kept}</td><td>{dropped}</td></tr>'
    )
