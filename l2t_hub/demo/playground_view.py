"""Renders a task's example and the answers of models as HTML. Changed parts are marked by shape as well as colour."""

import unicodedata
from collections.abc import Sequence

from l2t_hub.demo.playground import DrawnExample
from l2t_hub.demo.task_answers import MAX_ANSWER_TOKENS, TaskAnswer
from l2t_hub.demo.view import marked, multiline, visible
from l2t_hub.tasks.showcase import differences
from l2t_hub.text import counted

STATES = {
    "waiting": "is loading",
    "writing": "is answering",
    "cut": "was cut off",
    "stopped": "was stopped",
    "failed": "cannot answer",
}

NO_MODEL = "Choose a model to see its answer."
ANSWER_KEY = (
    '<ul class="l2t-key"><li><ins>not</ins> in the right answer</li>'
    "<li>loss: of the right answer, in nats per token; lower is better</li></ul>"
)


def example_html(drawn: DrawnExample) -> str:
    """Return the text and the prompt made of it, with the changed parts marked."""
    row, task = drawn.row, drawn.task
    prompt = f"{marked(row.prompt, drawn.added, 'ins')}\n\n{_anchor(row.anchor)}"
    notes = "".join(f"<li>{visible(note)}</li>" for note in (*drawn.notes, *_partner(drawn)))
    listed = f'<ul class="l2t-notes">{notes}</ul>' if notes else ""
    direction = text_direction(drawn.block.text)
    cards = (
        _text_card("Text", marked(drawn.block.text, drawn.removed, "del"), "source", direction),
        _text_card("Prompt: what the model reads", prompt, "prompt", direction),
    )
    return (
        f'<div class="l2t"><p class="l2t-summary"><b>{visible(task.name)}</b> ({visible(task.level)}), seed '
        f"{drawn.seed}: {visible(task.description)}</p>"
        f"{listed}"
        '<ul class="l2t-key"><li><del>removed</del> from the text</li><li><ins>added</ins> to the prompt</li>'
        "<li><span><em>anchor</em>, after which the answer starts</span></li></ul>"
        f'<div class="l2t-cards">{"".join(cards)}</div></div>'
    )


def answers_html(drawn: DrawnExample, answers: Sequence[TaskAnswer], hint: str = NO_MODEL) -> str:
    """Return the right answer, and beside it a card for each model: its answer, what differs, and its scores.

    `hint` is shown if there are no answers.
    """
    busy = "false" if all(answer.over for answer in answers) else "true"
    right = multiline(drawn.row.completion.strip())
    direction = text_direction(drawn.block.text)
    cards = (
        _text_card("Right answer", right, "completion", direction),
        *(_answer_card(drawn, answer, direction) for answer in answers),
    )
    return (
        f'<div class="l2t" aria-busy="{busy}">'
        f'<p class="l2t-summary" role="status">{visible(summary(answers) if answers else hint)}</p>'
        f"{ANSWER_KEY if answers else ''}"
        f'<div class="l2t-cards l2t-narrow">{"".join(cards)}</div></div>'
    )


def summary(answers: Sequence[TaskAnswer]) -> str:
    """Return in a sentence how each model did, or what it is doing."""
    return "; ".join(f"{answer.model} {verdict(answer)}" for answer in answers) + "."


def verdict(answer: TaskAnswer) -> str:
    """Return in a few words whether an answer is right."""
    if answer.state == "finished":
        return "is right" if answer.right else "is wrong"
    return STATES[answer.state]


def text_direction(text: str) -> str:
    """Return the direction of a text's first letter, `ltr` or `rtl`."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return "rtl" if next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L" else "ltr"


def _anchor(anchor: str) -> str:
    return f"<em>{visible(anchor)}</em>" if anchor else '<em class="l2t-none">(no anchor)</em>'


def _partner(drawn: DrawnExample) -> list[str]:
    return [f"The other document is {drawn.partner}."] if drawn.partner else []


def _text_card(title: str, body: str, part: str, direction: str) -> str:
    return (
        f'<section class="l2t-card"><h3>{title}</h3>'
        f'<div class="l2t-text" dir="{direction}" data-part="{part}">{body}</div></section>'
    )


def _answer_card(drawn: DrawnExample, answer: TaskAnswer, direction: str) -> str:
    mark, look = "…", ""
    if answer.state == "failed":
        mark, look = "!", "l2t-wrong"
    elif answer.state == "finished":
        mark, look = ("✓", "l2t-right") if answer.right else ("✗", "l2t-wrong")
    name = visible(answer.model)
    return (
        f'<article class="l2t-card" data-model="{name}" data-state="{answer.state}"><h3>{name}</h3>'
        f'<p class="l2t-badge {look}"><span aria-hidden="true">{mark}</span> {verdict(answer)}</p>'
        f"{_problem(answer)}"
        f'<div class="l2t-text" dir="{direction}" data-part="answer">{_answer_text(drawn, answer)}</div>'
        f"{_scores(answer)}</article>"
    )


def _answer_text(drawn: DrawnExample, answer: TaskAnswer) -> str:
    if answer.state == "finished" and not answer.text:
        return '<em class="l2t-none">(an empty answer)</em>'
    if not answer.over:
        return multiline(answer.text) + '<span class="l2t-cursor" aria-hidden="true">▍</span>'
    by_character = not drawn.block.language.spaced
    _, wrong = differences(drawn.row.completion.strip(), answer.text, by_character=by_character)
    return marked(answer.text, wrong, "ins")


def _problem(answer: TaskAnswer) -> str:
    if answer.state == "failed":
        return f'<p class="l2t-problem"><b>{visible(answer.problem)}</b> {visible(answer.hint)}</p>'
    if answer.state == "cut":
        return (
            f'<p class="l2t-problem">This page writes at most {counted(MAX_ANSWER_TOKENS, "token")} of an answer. '
            "Use a shorter text to have the whole answer scored.</p>"
        )
    return ""


def _scores(answer: TaskAnswer) -> str:
    rows = []
    if answer.loss is not None:
        rows.append(("loss", f"{answer.loss:.3f}"))
    if answer.right is not None:
        rows.append(("exact match", "1" if answer.right else "0"))
    if answer.similarity is not None:
        rows.append(("edit similarity", f"{answer.similarity:.3f}"))
    if answer.tokens:
        rows.append(("tokens written", f"{answer.tokens:,}"))
    cells = "".join(
        f'<tr><th scope="row">{name}</th><td data-score="{name}">{value}</td></tr>' for name, value in rows
    )
    return f'<table class="l2t-totals"><tbody>{cells}</tbody></table>' if cells else ""
