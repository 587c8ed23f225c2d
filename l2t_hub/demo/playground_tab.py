"""The tab that shows a task at work on a text, and what models answer."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.playground import (
    MAX_CHARACTERS,
    MAX_SEED,
    draw_example,
    languages_offered,
    texts_offered,
)
from l2t_hub.demo.playground_view import answers_html, example_html
from l2t_hub.demo.tab import Tab, up_to
from l2t_hub.demo.task_answers import TaskAnswer, stream_answer
from l2t_hub.demo.view import message_page
from l2t_hub.errors import UserError
from l2t_hub.tasks.registry import TASKS, get

ANSWERING: dict[str, Any] = {"concurrency_id": "answering", "concurrency_limit": 2}
"""Answers take long, so they queue by themselves, and comparisons do not wait for them."""
MAX_MODELS = 4
GO = "Make an example and answer it"
FIRST_TASK, FIRST_SEED = "typo", 42
SAMPLE_INFO = "English ones are from the bundled sample, on which `nano` models are trained."
SECONDS_BETWEEN = 0.1
"""The page is sent an answer that grows no more often than this."""


class VisitorRuns:
    """The run of each visitor: a new one replaces the one before, and Stop ends it."""

    def __init__(self) -> None:
        self._current: dict[str, object] = {}

    def begin(self, visitor: str) -> object:
        """Begin a run; the visitor's run before it is replaced."""
        run = object()
        self._current[visitor] = run
        return run

    def stop(self, visitor: str) -> None:
        """Stop the visitor's run."""
        self._current.pop(visitor, None)

    def is_current(self, visitor: str, run: object) -> bool:
        """Whether a run was neither stopped nor replaced."""
        return self._current.get(visitor) is run

    def is_replaced(self, visitor: str, run: object) -> bool:
        """Whether the visitor began another run."""
        return self._current.get(visitor, run) is not run

    def end(self, visitor: str, run: object) -> None:
        """Forget a run that is over."""
        if self.is_current(visitor, run):
            del self._current[visitor]


def add_playground_tab(context: PageContext) -> Tab:
    """Add the inputs, the example and the answers to the page that is being built."""
    texts = texts_offered()
    inputs, offered = _add_inputs(list(context.models), texts)
    drawn = draw_example(FIRST_TASK, inputs["text"].value, FIRST_SEED)
    with gr.Row():
        go = gr.Button(GO, variant="primary", scale=2, elem_id="play-go")
        redraw = gr.Button("New draw", elem_id="play-redraw")
        stop = gr.Button("Stop", elem_id="play-stop")
    outputs = [
        gr.HTML(example_html(drawn), elem_id="play-example"),
        gr.HTML(answers_html(drawn, [], f"Press “{GO}” to see what models answer."), elem_id="play-answers"),
    ]
    runs = VisitorRuns()
    show = shower(context, runs)
    run: dict[str, Any] = {
        "fn": show,
        "inputs": [*inputs.values()],
        "outputs": outputs,
        "api_visibility": "private",
        "trigger_mode": "multiple",
        "show_progress": "minimal",
        **ANSWERING,
    }
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    task, seed = inputs["task"], inputs["seed"]
    gr.on([go.click, task.input], **run)
    redraw.click(next_seed, seed, seed, **quick).then(**run)
    chosen = offered.input(lambda title: texts[title], offered, [inputs["language"], inputs["text"]], **quick)
    chosen.then(**run)
    task.change(_of_task, task, [task, inputs["other"]], **quick)
    stop.click(stopper(runs), **quick)
    return Tab("playground", inputs, show, outputs, _checks(context), _functions(context), ANSWERING)


def _add_inputs(names: list[str], texts: Mapping[str, tuple[str, str]]) -> tuple[dict[str, Any], gr.Dropdown]:
    """Add the inputs; return those of the state, by their keys in a link, and the list of texts offered."""
    first = next(iter(texts))
    with gr.Row():
        task = gr.Dropdown(
            [(f"{task.name} ({task.level})", task.name) for task in TASKS.values()],
            value=FIRST_TASK,
            label="Task",
            info=TASKS[FIRST_TASK].description,
            min_width=240,
            elem_id="play-task",
        )
        models = gr.Dropdown(
            names,
            value=names[:2],
            label="Models",
            info=f"Up to {MAX_MODELS}.",
            multiselect=True,
            max_choices=MAX_MODELS,
            allow_custom_value=True,
            min_width=280,
            scale=2,
            elem_id="play-models",
        )
    with gr.Row():
        offered = gr.Dropdown(
            list(texts),
            value=first,
            label="Example text",
            info=SAMPLE_INFO,
            min_width=280,
            scale=2,
            elem_id="play-offered",
        )
        language = gr.Dropdown(
            list(languages_offered().items()), value="en", label="Language", elem_id="play-language"
        )
        seed = gr.Number(
            FIRST_SEED, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="play-seed"
        )
    text, other = _add_text_boxes(texts[first][1])
    inputs = {"task": task, "model": models, "language": language, "text": text, "other": other, "seed": seed}
    return inputs, offered


def _add_text_boxes(value: str) -> tuple[gr.Textbox, gr.Textbox]:
    label = f"Text (up to {MAX_CHARACTERS:,} characters)"
    text = gr.Textbox(value, label=label, lines=4, max_lines=10, elem_id="play-text")
    other = gr.Textbox(
        label="Other text",
        info="The task takes a sentence from it. Empty: from one of our texts, which the seed draws.",
        lines=2,
        max_lines=6,
        visible=TASKS[FIRST_TASK].needs_other,
        elem_id="play-other",
    )
    return text, other


def next_seed(seed: int | None) -> int:
    """Return the seed of the next draw."""
    return 0 if seed is None or seed >= MAX_SEED else int(seed) + 1


def shower(context: PageContext, runs: VisitorRuns) -> Callable[..., Iterator[tuple[Any, Any]]]:
    """Return the function behind the button: it yields the example and then the growing answers, errors included."""

    def show(
        task: str,
        models: Sequence[str] | None,
        language: str,
        text: str,
        other: str,
        seed: int | None,
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        visitor = _visitor(request)
        run = runs.begin(visitor)
        try:
            choices = [context.resolve(name) for name in dict.fromkeys(models or ())][:MAX_MODELS]
            drawn = draw_example(task, text, FIRST_SEED if seed is None else int(seed), other or "", language)
            answers = [TaskAnswer(choice.label) for choice in choices]
            yield example_html(drawn), answers_html(drawn, answers)
            sent = time.monotonic()
            for place, choice in enumerate(choices):
                growing = stream_answer(
                    context.pool, choice, drawn.example, lambda: not runs.is_current(visitor, run)
                )
                for answers[place] in growing:
                    if runs.is_replaced(visitor, run):
                        return
                    if answers[place].over or time.monotonic() - sent >= SECONDS_BETWEEN:
                        yield gr.skip(), answers_html(drawn, answers)
                        sent = time.monotonic()
        except UserError as error:
            yield message_page(error.message, error.hint), ""
        finally:
            runs.end(visitor, run)

    return show


def stopper(runs: VisitorRuns) -> Callable[[gr.Request], None]:
    """Return the function behind the Stop button."""

    def stop(request: gr.Request) -> None:
        runs.stop(_visitor(request))

    return stop


def _visitor(request: gr.Request | None) -> str:
    return str(getattr(request, "session_hash", None) or id(request))


def _of_task(name: str) -> tuple[Any, Any]:
    """Show what a task does, and the box for the other text only if it needs one."""
    task = get(name, TASKS)
    return gr.update(info=task.description), gr.update(visible=task.needs_other)


def _checks(context: PageContext) -> dict[str, Callable[[str], Any]]:
    def seed(text: str) -> int:
        number = int(text[:12])
        if not 0 <= number <= MAX_SEED:
            raise ValueError("out of range")
        return number

    def language(text: str) -> str:
        if text not in languages_offered().values():
            raise ValueError("unknown")
        return text

    return {
        "task": lambda name: get(name[:40], TASKS).name,
        "model": lambda name: context.resolve(name).label,
        "language": language,
        "text": up_to(MAX_CHARACTERS),
        "other": up_to(MAX_CHARACTERS),
        "seed": seed,
    }


def _functions(context: PageContext) -> list[Callable[..., Any]]:
    def make_example(
        task: str, text: str, seed: int = FIRST_SEED, other: str = "", language: str = "en"
    ) -> dict[str, Any]:
        """Make an example of a language learning task from a text, as in the training data of L2T models.

        Args:
            task: Name of the task, such as typo, masked_word, deletion or half.
            text: The text. Only its first 1,000 characters are used.
            seed: Decides all random choices. Another seed gives another example.
            other: For the tasks last and deletion: the text that they take a sentence from. Empty: a bundled text.
            language: Code of the language of the text, such as en or de.
        """
        return draw_example(task, text, seed, other, language).as_dict()

    def answer_task(
        model: str, task: str, text: str, seed: int = FIRST_SEED, other: str = "", language: str = "en"
    ) -> dict[str, Any]:
        """Let a model answer an example of a task, and score the answer against the right one.

        Args:
            model: Name of a model that this page offers, or NAME@REVISION.
            task: Name of the task, such as typo, masked_word, deletion or half.
            text: The text. Only its first 1,000 characters are used.
            seed: Decides all random choices. Another seed gives another example.
            other: For the tasks last and deletion: the text that they take a sentence from. Empty: a bundled text.
            language: Code of the language of the text, such as en or de.
        """
        choice = context.resolve(model)
        drawn = draw_example(task, text, seed, other, language)
        *_, answer = stream_answer(context.pool, choice, drawn.example)
        if answer.state == "failed":
            raise UserError(answer.problem, answer.hint or None)
        return {**drawn.as_dict(), **answer.as_dict()}

    return [make_example, answer_task]
