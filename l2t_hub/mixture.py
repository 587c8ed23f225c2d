"""Which document becomes what: a pure function of the recipe's seed and the document's id (method.md section 3).

Every draw of a build has an address, (seed, document id, purpose), and is derived from the BLAKE2b hash of it; so it
does not depend on the order of documents, on how many there are, or on who processes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from l2t_hub.recipe.schema import MixtureSection
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.registry import eligible, get

NO_TASK = "no eligible task"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a document becomes: raw text, an example of `task` per block, or (scheme shared) both.

    `reason` says why there is no task where the scheme wants one.
    """

    raw: bool
    task: str | None
    reason: str | None = None


def _address(seed: int, document_id: str, purpose: tuple[str | int, ...]) -> int:
    """256 bits that belong to an address; JSON keeps ("a", "bc") apart from ("ab", "c")."""
    text = json.dumps([seed, document_id, *purpose])
    return int.from_bytes(blake2b(text.encode(), digest_size=32).digest(), "big")


def generator(seed: int, document_id: str, *purpose: str | int) -> Random:
    """The generator of one address. The same address gives the same draws, any other one independent draws."""
    return Random(_address(seed, document_id, purpose))


def uniform(seed: int, document_id: str, *purpose: str | int) -> float:
    """One draw from [0, 1) for an address, with 53 random bits."""
    return (_address(seed, document_id, purpose) >> 203) / (1 << 53)


def is_validation(seed: int, document_id: str, share: float) -> bool:
    """Whether a document is held out. A larger share keeps every document that a smaller one holds out."""
    return uniform(seed, document_id, "validation") < share


def is_raw(seed: int, document_id: str, mixture: MixtureSection) -> bool:
    """Whether a document is used as raw text.

    The share is the threshold of the document's draw; one that counts tokens is solved for its threshold first
    (`dataset/raw_share.py`).
    """
    if mixture.scheme == "disjoint":
        return uniform(seed, document_id, "raw") < mixture.raw_share
    return mixture.scheme in ("raw", "shared")


def is_task(raw: bool, mixture: MixtureSection) -> bool:
    """Whether a document is used for a task, given whether it is used as raw text."""
    return not raw or mixture.scheme == "shared"


def tasks_of(mixture: MixtureSection, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks a mixture draws from, in the order of the registry. Raises UsageError for an unknown name."""
    chosen = (mixture.task,) if mixture.task is not None else mixture.tasks
    if chosen is None:
        return dict(tasks)
    for name in chosen:
        get(name, tasks)
    return {name: task for name, task in tasks.items() if name in chosen}


def assign(
    seed: int, document_id: str, n_sentences: int, mixture: MixtureSection, tasks: Mapping[str, Task]
) -> Assignment:
    """Say what a document of `n_sentences` sentences becomes.

    `tasks` are those of `tasks_of`, less those that cannot be made here (no other document). The task is drawn
    uniformly from the eligible ones; a single-task recipe uses its task for every document.
    """
    raw = is_raw(seed, document_id, mixture)
    if not is_task(raw, mixture):
        return Assignment(raw, None)
    names = tuple(tasks) if mixture.scheme == "single" else eligible(tasks, n_sentences)
    if not names or n_sentences == 0:
        return Assignment(raw, None, NO_TASK)
    return Assignment(raw, names[int(uniform(seed, document_id, "task") * len(names))])
