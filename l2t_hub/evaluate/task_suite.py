"""The suite `tasks`: each language learning task on held-out text, answered greedily and scored.

An answer counts as right if it is the completion, spaces around it aside. Beside this exact match, which for tasks
with a number or a choice as their answer is the accuracy, each example has the loss of the completion, and the
similarity of the answer to it where the completion is a text.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.errors import UserError
from l2t_hub.evaluate.results import Sample, TaskProtocol
from l2t_hub.evaluate.task_examples import TaskExample, read_examples, sha256_of_examples
from l2t_hub.evaluate.task_store import TaskResult, TaskStore
from l2t_hub.scoring import ModelSource, Scorer
from l2t_hub.tokens.load import load_exact_tokenizer

PER_TASK = 100
"""Examples of each task without --limit."""
SPARE_TOKENS = 8
"""How many tokens longer than the completion an answer may become."""
MAX_BATCH, BATCH_TOKENS = 16, 16_384
"""Prompts that are answered together, and how many tokens they have with padding, without --batch-tokens."""
LOSS, SIMILARITY = "loss (nats per token)", "edit similarity"
CHOICES = ("char_count", "token_type", "last")
"""Tasks whose answer is a number or a choice: it is right or wrong."""
VERSION = "1.1"
"""1.1: the other document of `last` and `deletion` is drawn by address, as in a build; 1.0 took the next one."""


Tokens = tuple[list[int], list[int]]
"""The tokens of an example's prompt and of its completion."""


@dataclass(frozen=True)
class HeldOutTasks:
    """The examples of each task that every model can read, and the number of those that some model cannot.

    `tokens` has the tokens of the examples of each task, for the models that set a limit, by directory.
    """

    examples: Mapping[str, Sequence[TaskExample]]
    too_long: int
    tokens: Mapping[str, Mapping[str, Sequence[Tokens]]]
    missing: tuple[str, ...] = ()
    """Tasks of which there is no example that every model can read."""

    @property
    def left_out(self) -> dict[str, int]:
        """The numbers of examples and tasks that are left out, by reason."""
        reasons = {
            "longer than a model reads": self.too_long,
            f"tasks without an example: {', '.join(self.missing)}": len(self.missing),
        }
        return {reason: count for reason, count in reasons.items() if count}


@dataclass(frozen=True)
class TaskText:
    """A file or folder of held-out text, and the length of blocks if it is not that of recipes by default.

    With `partial`, tasks of which it gives no example are left out; else they are an error.
    """

    path: str
    tokens_per_block: int | None = None
    partial: bool = False


def prepare_tasks(text: TaskText, sources: Sequence[ModelSource], limit: int | None) -> HeldOutTasks:
    """Make the examples, and leave out those that are longer than the context of any of the models.

    Raises UsageError if there is no such text, UserError if nothing is left of a task.
    """
    examples = read_examples(text.path, limit or PER_TASK, text.tokens_per_block, partial=text.partial)
    readers = {source.location: reader for source in sources if (reader := reader_of(source))}
    tokens = {
        model: {name: encode_examples(tokenizer, rows) for name, rows in examples.items()}
        for model, (tokenizer, _) in readers.items()
    }
    fits = {
        name: [
            all(_fits(tokens[model][name][i], size) for model, (_, size) in readers.items())
            for i in range(len(rows))
        ]
        for name, rows in examples.items()
    }
    kept = {name: list(compress(rows, fits[name])) for name, rows in examples.items()}
    empty = [name for name, rows in kept.items() if not rows]
    if empty and (not text.partial or len(empty) == len(kept)):
        shortest = min(size for _, size in readers.values())
        raise UserError(
            f"--text {text.path}: all examples of {', '.join(empty)} are longer than {shortest} tokens, which is "
            "what one of the models reads",
            "Give shorter documents.",
        )
    too_long = sum(map(len, examples.values())) - sum(map(len, kept.values()))
    kept = {name: rows for name, rows in kept.items() if rows}
    of_kept = {
        model: {name: list(compress(of_model[name], fits[name])) for name in kept}
        for model, of_model in tokens.items()
    }
    return HeldOutTasks(kept, too_long, of_kept, tuple(empty))


def reader_of(source: ModelSource) -> tuple[Any, int] | None:
    """Return the tokenizer of a model and the number of tokens that it reads; None if it sets no limit.

    A model that cannot be read has none either: scoring it says what is wrong, and does not stop the others.
    """
    from l2t_hub.hub.model_check import read_model_config

    directory = Path(source.location)
    try:
        size = read_model_config(directory, source.name).get("max_position_embeddings")
        return (load_exact_tokenizer(directory), int(size)) if size else None
    except Exception:  # a stranger's files raise errors of many types
        return None


def encode_examples(tokenizer: Any, examples: Sequence[TaskExample]) -> list[Tokens]:
    """Return the tokens of the prompt and of the completion of each example, as in training.

    A token that reaches from the prompt into the completion belongs to the completion. Text that spells a special
    token is read as text.
    """
    texts = [text for example in examples for text in (example.text, example.prompt)]
    ids = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"] if texts else []
    return [parted(whole, alone) for whole, alone in zip(ids[::2], ids[1::2], strict=True)]


def parted(whole: list[int], alone: list[int]) -> Tokens:
    """Return the tokens of a text in two parts: those that its beginning has alone, and the rest."""
    shared = next((i for i, (a, b) in enumerate(zip(whole, alone, strict=False)) if a != b), len(alone))
    shared = min(shared, len(whole) - 1)
    return whole[:shared], whole[shared:]


def _fits(tokens: Tokens, size: int) -> bool:
    """Whether a model that reads `size` tokens reads the prefix, an example and the spare tokens of an answer."""
    return 1 + sum(map(len, tokens)) + SPARE_TOKENS <= size


def run_tasks(
    scorer: Scorer, label: str, tasks: HeldOutTasks, store: TaskStore | None, batch_tokens: int | None
) -> list[TaskResult]:
    """Score a model on the examples of every task. Finished tasks are taken from the store."""
    results = []
    tokens = tasks.tokens.get(scorer.source.location)
    for name, examples in tasks.examples.items():
        sha256 = sha256_of_examples(examples)
        decides = {"suite": "tasks", "task": name, "version": VERSION, "data": sha256}
        found = store.find(decides, label) if store else None
        if found is None:
            start = time.perf_counter()
            encoded = tokens[name] if tokens else encode_examples(scorer.tokenizer, examples)
            samples = tuple(_samples(scorer, label, examples, encoded, batch_tokens))
            protocol = TaskProtocol(
                f"l2t_{name}", VERSION, 0, "exact match", "", len(samples), sha256, shots_seed=None
            )
            found = TaskResult(protocol, samples, time.perf_counter() - start)
            if store:
                store.keep(decides, found)
        results.append(found)
    return results


def _samples(
    scorer: Scorer,
    label: str,
    examples: Sequence[TaskExample],
    encoded: Sequence[Tokens],
    batch_tokens: int | None,
) -> Iterator[Sample]:
    sums = completion_log_probabilities(scorer, label, encoded, batch_tokens)
    answers = _answers(scorer, encoded, batch_tokens)
    for example, (_, completion), value, answer in zip(examples, encoded, sums, answers, strict=True):
        right, measures = judge(example, answer, -value / len(completion))
        yield Sample(
            label, f"l2t_{example.task}", example.id, example.task, None, right, None, (value,),
            measures=measures,
        )  # fmt: skip


def completion_log_probabilities(
    scorer: Scorer, label: str, encoded: Sequence[Tokens], batch_tokens: int | None = None
) -> list[float]:
    """Return the log-probability of each completion after its prompt. Raises UserError if one is not finite."""
    from l2t_hub.scoring.engine import score_sequences
    from l2t_hub.scoring.trie import TokenSequence

    sequences = [
        TokenSequence((scorer.prefix_id, *prompt, *completion), 1 + len(prompt))
        for prompt, completion in encoded
    ]
    sums = score_sequences(scorer.model, sequences, batch_tokens=batch_tokens).sums()
    if not np.isfinite(sums).all():
        raise UserError(
            f"{label}: the probability of a completion is not finite",
            "The weights are probably not finite either, as after a training run that diverged.",
        )
    return sums


def judge(example: TaskExample, answer: str, loss: float) -> tuple[bool, dict[str, float]]:
    """Return whether an answer is right, and the other measures of an example."""
    right = example.completion.strip()
    measures = {LOSS: loss}
    if example.task not in CHOICES:
        measures[SIMILARITY] = similarity(answer.strip(), right)
    return answer.strip() == right, measures


def end_ids(scorer: Scorer) -> set[int]:
    """Return the tokens that end an answer: EOS, and BOS, with which the next text of a training row begins."""
    return {scorer.prefix_id, scorer.tokenizer.eos_token_id, scorer.tokenizer.bos_token_id} - {None}


def _answers(scorer: Scorer, encoded: Sequence[Tokens], batch_tokens: int | None = None) -> list[str]:
    """Return the greedy answers, without spaces around them, in the order of the examples.

    An answer ends at an EOS or BOS token, or when it is SPARE_TOKENS longer than the completion.
    """
    answers = [""] * len(encoded)
    left = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]), reverse=True)
    while left:
        fit = (batch_tokens or BATCH_TOKENS) // (1 + len(encoded[left[0]][0]))
        size = max(1, min(MAX_BATCH, fit))
        chosen, left = left[:size], left[size:]
        for i, ids in zip(chosen, _generate(scorer, [encoded[i] for i in chosen]), strict=True):
            answers[i] = str(scorer.tokenizer.decode(ids, skip_special_tokens=True)).strip()
    return answers


def _generate(scorer: Scorer, batch: Sequence[Tokens]) -> Iterator[list[int]]:
    import torch
    from transformers import GenerationConfig

    # A model's own settings, such as beams or a penalty for repetition, would not be greedy.
    scorer.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    width = 1 + max(len(prompt) for prompt, _ in batch)
    ends = end_ids(scorer)
    ids = torch.full((len(batch), width), scorer.prefix_id)
    mask = torch.zeros(len(batch), width, dtype=torch.long)
    for row, (prompt, _) in enumerate(batch):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, width - len(prompt) - 1 :] = 1  # the prefix, which is also the padding, and the prompt
    limits = [len(completion) + SPARE_TOKENS for _, completion in batch]
    try:
        made = scorer.model.generate(
            input_ids=ids.to(scorer.model.device),
            attention_mask=mask.to(scorer.model.device),
            do_sample=False,
            max_new_tokens=max(limits),
            eos_token_id=sorted(ends),
            pad_token_id=scorer.prefix_id,
        )
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU has too little memory to answer {len(batch)} prompts of {width} tokens: {str(error)[:200]}",
            "Use another device (`--device cpu`) or bfloat16 (`--dtype bfloat16`).",
        ) from error
    for tokens, limit in zip(made[:, width:].tolist(), limits, strict=True):
        end = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
        yield tokens[: min(end, limit)]


def similarity(one: str, other: str) -> float:
    """Return 1 minus the edit distance of two texts by the length of the longer: 1 for equal texts, at least 0."""
    longest = max(len(one), len(other))
    return 1.0 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Return Levenshtein's distance: how many characters must be inserted, removed or replaced."""
    letters = np.array([ord(letter) for letter in other], dtype=np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for letter in one:
        changed = np.minimum(row[:-1] + (letters != ord(letter)), row[1:] + 1)
        row = np.concatenate([[row[0] + 1], changed])
        # Insertions run along the row: each place can be reached from any place before it.
        row = np.minimum.accumulate(row - places) + places
    return int(row[-1])
