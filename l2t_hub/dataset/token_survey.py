"""Estimate how many tokens each document gives, as raw text and as task examples, before any partition is built.

The first documents of every partition are surveyed, SURVEYED in all, which for most sources is every document. A
calibration sample of them, the CALIBRATED documents with the smallest values of a separate random draw, is encoded as
raw text and made into examples. The tokens of the other documents are predicted from their bytes and from the task
that their ID draws, with the ratios of the sample.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep
from numpy.typing import NDArray

from l2t_hub.artifacts import TOKENIZER, disk_errors
from l2t_hub.corpus.source import Document, Record
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.partners import find_partners
from l2t_hub.dataset.pipeline import transform_setup
from l2t_hub.dataset.progress import Meter
from l2t_hub.dataset.transform import PartitionTransform, Tick, TransformSetup
from l2t_hub.dataset.workspace import FinishedPartition, Workspace
from l2t_hub.mixture import assign, is_held_out, uniform
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo
from l2t_hub.tasks.languages import Language

FILE = "survey.npz"
SURVEYED = 1_000_000
CALIBRATED = 800
# How much likelier documents of these tasks are to enter the sample. Their examples vary most in tokens per byte: a
# marker may take one token or four, and an answer may be long or short.
SAMPLING_WEIGHTS = {"masked_char": 4, "deletion": 2}
SHORT_TEXT = 2_000
MANY_SENTENCES = 1_000

SURVEY = np.dtype(
    [
        ("draw", "f8"),
        ("bytes", "f8"),
        ("task", "i2"),
        ("validation", "?"),
        ("raw_tokens", "f8"),
        ("task_tokens", "f8"),
    ]
)
"""A surveyed document. `draw` decides whether it is raw; `task` is its number among the mixture's tasks, or -1. Its
tokens, as raw text and as examples that fit a sequence, are NaN outside the calibration sample.
"""


def survey_documents(
    setup: TransformSetup, records: Iterable[Record], limit: int, sample_size: int
) -> tuple[NDArray[Any], bool]:
    """Survey the documents among the first `limit` records; the sample has `sample_size` documents.

    Returns one row of SURVEY per document, in order, and whether there were no more records.
    """
    recipe = _shared_recipe(setup)
    task_numbers = {name: number for number, name in enumerate(setup.tasks)}
    rows: list[tuple[float, int, int, bool]] = []
    sample: list[tuple[float, int, Document]] = []
    complete = True
    for number, record in enumerate(records):
        if number >= limit:
            complete = False
            break
        if not isinstance(record, Document):
            continue
        language = setup.languages.of(record)
        sentences, tasks = _sentence_count(setup, record.text, language), setup.tasks_by_language[language]
        task = assign(recipe.seed, record.id, sentences, recipe.mixture, tasks).task
        priority = uniform(recipe.seed, record.id, "calibrate") / SAMPLING_WEIGHTS.get(task or "", 1)
        candidate = (-priority, len(rows), record)
        if len(sample) < sample_size:
            heapq.heappush(sample, candidate)
        else:
            heapq.heappushpop(sample, candidate)
        draw, size = uniform(recipe.seed, record.id, "raw"), len(record.text.encode())
        held_out = is_held_out(recipe.seed, record, recipe.validation.share)
        rows.append((draw, size, -1 if task is None else task_numbers[task], held_out))
    survey = np.zeros(len(rows), SURVEY)
    for column, name in enumerate(("draw", "bytes", "task", "validation")):
        survey[name] = [row[column] for row in rows]
    survey["raw_tokens"] = survey["task_tokens"] = np.nan
    sampled = {row: document for _, row, document in sorted(sample, key=lambda candidate: candidate[1])}
    row_of = {document.id: row for row, document in sampled.items()}
    for document_id, raw_tokens, task_tokens in _count_tokens(setup, list(sampled.values())):
        survey["raw_tokens"][row_of[document_id]] = raw_tokens
        survey["task_tokens"][row_of[document_id]] = task_tokens
    return survey, complete


def predict_tokens(survey: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return raw tokens and task tokens of every document: counted if in the sample, else bytes times a ratio.

    Raw text has one ratio, each task its own. A task without a sampled document uses the ratio of all tasks together.
    """
    sampled = ~np.isnan(survey["raw_tokens"])
    sizes, has_task = survey["bytes"], survey["task"] >= 0
    raw_ratio = _ratio(survey["raw_tokens"][sampled], sizes[sampled])
    raw_tokens = np.where(sampled, survey["raw_tokens"], sizes * raw_ratio)
    task_sample = sampled & has_task
    any_task_ratio = _ratio(survey["task_tokens"][task_sample], sizes[task_sample])
    predicted = np.where(has_task, sizes * any_task_ratio, 0.0)
    task_tokens = np.where(sampled, survey["task_tokens"], predicted)
    for task in np.unique(survey["task"][task_sample]):
        of_task = survey["task"] == task
        own_ratio = _ratio(survey["task_tokens"][task_sample & of_task], sizes[task_sample & of_task])
        task_tokens[of_task & ~sampled] = sizes[of_task & ~sampled] * own_ratio
    return raw_tokens, task_tokens


class WriteSurvey(PipelineStep):  # type: ignore[misc]
    """Writes the survey of a partition."""

    name, type = "survey", "SURVEY"

    def __init__(
        self,
        recipe: Recipe,
        workspace: Workspace,
        keys: Sequence[str],
        tokenizer: TokenizerInfo,
        meter: Meter,
    ) -> None:
        super().__init__()
        self.recipe, self.workspace, self.keys = recipe, workspace, keys
        self.tokenizer, self.meter = tokenizer, meter

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[None]:
        """Survey partition `rank`."""
        yield from ()
        setup = transform_setup(self.recipe, self.workspace.folder / TOKENIZER, self.tokenizer)
        partitions = len(self.keys)
        limit, sample_size = -(-SURVEYED // partitions), -(-CALIBRATED // partitions)
        with self.meter.slot(rank) as tick:
            survey, complete = survey_documents(setup, _ticked(data, tick), limit, sample_size)
        folder = self.workspace.begin(rank, self.keys[rank])
        with disk_errors(folder):
            np.savez(folder / FILE, survey=survey, complete=complete)
        self.workspace.commit(folder, FinishedPartition(rank, self.keys[rank], [], Ledger()))


def _ratio(tokens: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    return float(tokens.sum() / sizes.sum()) if len(sizes) else 0.0


def _ticked(records: Iterable[Record], tick: Tick) -> Iterator[Record]:
    for number, record in enumerate(records):
        tick(number)
        yield record


def _sentence_count(setup: TransformSetup, text: str, language: Language) -> int:
    """Return the number of sentences for drawing a task: counted for a short text, else enough for any task."""
    return len(setup.languages.sentences(text, language)) if len(text) < SHORT_TEXT else MANY_SENTENCES


def _shared_recipe(setup: TransformSetup) -> Recipe:
    """Return the recipe that makes every document both raw text and examples of the task that its ID draws."""
    mixture = setup.recipe.mixture.model_copy(update={"scheme": "shared"})
    return setup.recipe.model_copy(update={"mixture": mixture})


def _count_tokens(setup: TransformSetup, documents: Sequence[Document]) -> Iterator[tuple[str, int, int]]:
    """Yield the ID of each document, its tokens as raw text, and as examples that fit a sequence."""
    recipe = _shared_recipe(setup)
    bos, eos, limit = recipe.tokenizer.bos, recipe.tokenizer.eos, recipe.packing.sequence_length
    partners = find_partners(recipe, setup.tasks, setup.languages, documents)
    partition = PartitionTransform(replace(setup, recipe=recipe), partners)
    for batch in partition.batches(documents):
        raw_tokens = setup.encoder.count([d.document.text for d in batch], bos=bos).tolist()
        examples = partition.examples(batch)
        texts = [example.row.text for example in examples]
        lengths = setup.encoder.count(texts, bos=bos, eos=eos).tolist()
        task_tokens = dict.fromkeys((d.document.id for d in batch), 0)
        for example, length in zip(examples, lengths, strict=True):
            task_tokens[example.row.document_id] += length if length <= limit else 0
        for d, tokens in zip(batch, raw_tokens, strict=True):
            yield d.document.id, tokens, task_tokens[d.document.id]
