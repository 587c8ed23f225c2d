"""Decide whether a document becomes raw text, task examples or both (`docs/method.md`). Pure.

Every random choice of a build has an address, (seed, document id, purpose), and is derived from the BLAKE2b hash of
that address. It does not depend on the order or number of documents, nor on the worker that processes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from l2t_hub.corpus.document import Document
from l2t_hub.recipe.schema import MixtureSection
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.registry import eligible, get

NO_TASK = "no eligible task"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a document becomes: raw text, examples of `task`, or (scheme shared) both.

    `reason` explains a missing task if the scheme requires one.
    """

    raw: bool
    task: str | None
    reason: str | None = None


def _address(seed: int, document_id: str, purpose: tuple[str | int, ...]) -> int:
    """Return 256 bits for an address. Its JSON is hashed, so that ("a", "bc") and ("ab", "c") differ."""
    text = json.dumps([seed, document_id, *purpose])
    return int.from_bytes(blake2b(text.encode(), digest_size=32).digest(), "big")


def generator(seed: int, document_id: str, *purpose: str | int) -> Random:
    """Return the random generator of an address. Different addresses give independent generators."""
    return Random(_address(seed, document_id, purpose))


def uniform(seed: int, document_id: str, *purpose: str | int) -> float:
    """Return a number in [0, 1) for an address, with 53 random bits."""
    return (_address(seed, document_id, purpose) >> 203) / (1 << 53)


def is_validation(seed: int, document_id: str, share: float) -> bool:
    """Whether a document's draw holds it out. A larger share also holds out every document of a smaller one."""
    return uniform(seed, document_id, "validation") < share


def is_held_out(seed: int, document: Document, share: float) -> bool:
    """Whether a document is held out: its draw says so, and the recipe holds documents out from its file."""
    return document.may_be_held_out and is_validation(seed, document.id, share)


def is_raw(seed: int, document_id: str, mixture: MixtureSection) -> bool:
    """Whether a document is used as raw text.

    It is if its random number is below `raw_share`. `dataset/raw_share.py` first converts a share in tokens to one in
    documents.
    """
    if mixture.scheme == "disjoint":
        return uniform(seed, document_id, "raw") < mixture.raw_share
    return mixture.scheme in ("raw", "shared")


def is_task(raw: bool, mixture: MixtureSection) -> bool:
    """Whether a document is used for a task, given that it is or is not used as raw text."""
    return not raw or mixture.scheme == "shared"


def tasks_of(mixture: MixtureSection, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return the tasks of a mixture in the order of the registry. Raises UsageError for an unknown name."""
    names = (mixture.task,) if mixture.task is not None else mixture.tasks
    if names is None:
        return dict(tasks)
    for name in names:
        get(name, tasks)
    return {name: task for name, task in tasks.items() if name in names}


def assign(
    seed: int, document_id: str, n_sentences: int, mixture: MixtureSection, tasks: Mapping[str, Task]
) -> Assignment:
    """Decide what a document of `n_sentences` sentences becomes.

    `tasks` are those of `tasks_of`, without those that need another document if there is none. The task is drawn
    uniformly from the eligible ones. Scheme single uses its task for every document.
    """
    raw = is_raw(seed, document_id, mixture)
    if not is_task(raw, mixture):
        return Assignment(raw, None)
    names = tuple(tasks) if mixture.scheme == "single" else eligible(tasks, n_sentences)
    if not names or n_sentences == 0:
        return Assignment(raw, None, NO_TASK)
    return Assignment(raw, names[int(uniform(seed, document_id, "task") * len(names))])
