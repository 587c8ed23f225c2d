"""What a model of the page answers to a task's example, token by token, and how good the answer is.

Examples are encoded, answered and judged as in the suite `tasks`. A model is held for a moment at a time, so that
other visitors need not wait for the end of an answer.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from l2t_hub.demo.choice import ModelChoice
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.errors import UserError
from l2t_hub.evaluate.task_examples import TaskExample
from l2t_hub.scoring import Scorer

MAX_ANSWER_TOKENS = 320
"""Longer answers are not written to their end, so that no visitor waits long for another one's answer."""
HELD_SECONDS = 1.0
"""How long a model is held at a time."""
PAUSE = 0.005
"""Seconds for which it is then free: who takes a lock again at once keeps others from it."""

State = Literal["waiting", "writing", "finished", "cut", "stopped", "failed"]


@dataclass(frozen=True)
class TaskAnswer:
    """A model's answer so far. `loss` is that of the right answer, in nats per token.

    `right` and `similarity` are None until the answer is finished; for a number or a choice there is no similarity,
    and for a cut answer neither. `problem` and `hint` say why a model failed.
    """

    model: str
    state: State = "waiting"
    text: str = ""
    tokens: int = 0
    loss: float | None = None
    right: bool | None = None
    similarity: float | None = None
    problem: str = ""
    hint: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in ("waiting", "writing")

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON types."""
        return {
            "model": self.model,
            "answer": self.text,
            "finished": self.state == "finished",
            "tokens": self.tokens,
            "right": self.right,
            "edit_similarity": self.similarity,
            "loss": self.loss,
        }


def stream_answer(
    pool: ModelPool,
    choice: ModelChoice,
    example: TaskExample,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[TaskAnswer]:
    """Yield a model's greedy answer as it grows; the last one is judged.

    An answer ends at an end-of-text token, or when it is as long as the suite allows, or MAX_ANSWER_TOKENS. A model
    that cannot answer yields its problem.
    """
    answer = TaskAnswer(choice.label)
    yield answer
    try:
        for answer in _written(pool, choice, example):
            if stopped():
                yield replace(answer, state="stopped")
                return
            yield answer
    except UserError as error:
        yield replace(answer, state="failed", problem=error.message, hint=error.hint or "")
    except Exception as error:  # a stranger's architecture raises errors of many types
        problem = f"{choice.label}: the model failed with {type(error).__name__}: {str(error)[:200]}"
        yield replace(answer, state="failed", problem=problem)


def _written(pool: ModelPool, choice: ModelChoice, example: TaskExample) -> Iterator[TaskAnswer]:
    from transformers import DynamicCache

    from l2t_hub.evaluate.task_suite import SIMILARITY, SPARE_TOKENS, end_ids, judge
    from l2t_hub.generate.decoding import stream_tokens

    with pool.use(choice) as scorer:
        prompt, completion, loss = _read(scorer, choice.label, example)
        ends, cache = end_ids(scorer), DynamicCache(config=scorer.model.config)
    del scorer  # between two moments, nothing here keeps the model in memory
    answer = TaskAnswer(choice.label, "writing", loss=loss)
    yield answer
    whole = len(completion) + SPARE_TOKENS
    limit = min(whole, MAX_ANSWER_TOKENS)
    tokens: list[int] = []
    ended = False
    while len(tokens) < limit and not ended:
        with pool.use(choice) as scorer:
            until, before = time.monotonic() + HELD_SECONDS, tokens
            stream = stream_tokens(scorer.model, None, [*prompt, *tokens], limit - len(tokens), ends, cache)
            with closing(stream):
                for drafted in stream:
                    tokens = [*before, *drafted.tokens]
                    ended = tokens[-1] in ends
                    text = scorer.tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
                    answer = replace(answer, text=str(text).strip(), tokens=len(tokens))
                    if time.monotonic() > until:
                        break
                    yield answer
        del scorer, stream
        yield answer
        time.sleep(PAUSE)
    if not ended and len(tokens) < whole:
        yield replace(answer, state="cut")
        return
    right, measures = judge(example, answer.text, loss)
    yield replace(answer, state="finished", right=right, similarity=measures.get(SIMILARITY))


def _read(scorer: Scorer, label: str, example: TaskExample) -> tuple[list[int], list[int], float]:
    """Return the tokens of the prompt, after the prefix, and of the completion, and the loss of the completion.

    Raises UserError if the model cannot read them.
    """
    from l2t_hub.evaluate.task_suite import SPARE_TOKENS, completion_log_probabilities, encode_examples

    ((prompt, completion),) = encoded = encode_examples(scorer.tokenizer, [example])
    if not completion:
        raise UserError(
            f"{label}: the tokenizer returns no tokens for this text.",
            "Check that tokenizer.json is in the model's folder.",
        )
    size = 1 + len(prompt) + len(completion) + SPARE_TOKENS
    if scorer.max_tokens is not None and size > scorer.max_tokens:
        raise UserError(
            f"{label}: the example and its answer take {size} tokens, and the model reads at most "
            f"{scorer.max_tokens}.",
            "Use a shorter text.",
        )
    (log_probability,) = completion_log_probabilities(scorer, label, encoded)
    return [scorer.prefix_id, *prompt], completion, -log_probability / len(completion)
