"""The models of the page: loaded when first used, kept within a memory budget, scored by `l2t_hub.scoring`."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Lock

from l2t_hub.demo.choice import ModelChoice
from l2t_hub.demo.guests import fetch_guest
from l2t_hub.errors import UserError, nearest
from l2t_hub.hub.download import parse_name
from l2t_hub.hub.model_check import count_weights
from l2t_hub.scoring import ModelSource, Score, Scorer, fetch_model, find_model, load_scorer, score

OVERHEAD = 32 << 20
"""Bytes counted for a model besides its weights, mostly for its tokenizer."""
KEPT = 32
"""The most models in memory, however small they are."""
PATIENCE = 120.0
"""Seconds that a visitor waits for a model that others use, or for memory that others' models take."""


@dataclass(eq=False)
class _Slot:
    """A model in the pool. `users` hold or wait for it; `size` is what it takes of the budget, in bytes."""

    choice: ModelChoice
    lock: Lock = field(default_factory=Lock)
    scorer: Scorer | None = None
    users: int = 0
    size: int = 0
    used: float = 0.0


class ModelPool:
    """Loads each model once and keeps it until another one needs its memory: the least recently used goes first.

    `models` are those of the page: name -> directory or Hub name. With `guests`, public models on the Hub may be used
    too. With `hub_only`, as on a Space, no name means a directory. `memory` is the budget in bytes. `say` is told
    what is being loaded.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        *,
        memory: int,
        guests: bool = False,
        hub_only: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.memory = memory
        self._models = dict(models)
        self._guests = guests
        self._hub_only = hub_only
        self._say = say
        self._slots: dict[ModelChoice, _Slot] = {}
        self._changed = Condition()

    @property
    def taken(self) -> int:
        """The bytes of the budget that models take now."""
        with self._changed:
            return self._taken()

    @contextmanager
    def use(self, choice: ModelChoice) -> Iterator[Scorer]:
        """Lend a model, loaded if it is not in memory yet. Nobody else has it, and it stays, until the block ends.

        Use one model at a time: who holds one and waits for another can wait for somebody who does the same. Keep no
        reference to the model after the block.

        Raises UserError if the model is not offered, cannot be loaded, does not fit in the budget, or is not free in
        time. The next call tries again.
        """
        slot = self._enter(choice)
        try:
            if not slot.lock.acquire(timeout=PATIENCE):
                raise UserError(
                    f"{choice.label}: other visitors are using this model.", "Try again in a minute."
                )
            try:
                yield slot.scorer or self._load(slot)
            finally:
                slot.lock.release()
        finally:
            self._leave(slot)

    def _enter(self, choice: ModelChoice) -> _Slot:
        with self._changed:
            slot = self._slots.setdefault(choice, _Slot(choice))
            slot.users += 1
            return slot

    def _leave(self, slot: _Slot) -> None:
        with self._changed:
            slot.users -= 1
            slot.used = time.monotonic()
            if slot.scorer is None and not slot.users:
                self._slots.pop(slot.choice, None)
            self._changed.notify_all()

    def _load(self, slot: _Slot) -> Scorer:
        self._say(f"Loading {slot.choice.label}")
        source = replace(self._fetched(slot.choice), name=slot.choice.label)
        self._reserve(slot, OVERHEAD + count_weights(Path(source.location), source.name)[1])
        try:
            slot.scorer = load_scorer(source)
        finally:
            if slot.scorer is None:
                with self._changed:
                    slot.size = 0
                    self._changed.notify_all()
        return slot.scorer

    def _fetched(self, choice: ModelChoice) -> ModelSource:
        """Return a model with its files on this machine. What a guest typed is never taken for a path."""
        if choice.name not in self._models:
            if not self._guests:
                raise UserError(
                    f"{choice.label}: this page does not offer that model.", "Choose one of the list."
                )
            return fetch_guest(choice, self.memory)
        location = self._models[choice.name]
        if self._hub_only:
            repo, revision = parse_name(location)
            return fetch_model(ModelSource(choice.label, repo, choice.revision or revision, is_local=False))
        source = find_model(location)
        if choice.revision and source.is_local:
            return _checkpoint(location, choice.revision)
        return fetch_model(replace(source, revision=choice.revision or source.revision))

    def _reserve(self, slot: _Slot, size: int) -> None:
        """Take `size` bytes of the budget for a model about to be loaded, and drop others for it."""
        if size > self.memory:
            raise UserError(
                f"{slot.choice.label}: the model needs {_megabytes(size)} of memory, and this page has "
                f"{_megabytes(self.memory)} for models.",
                "Choose a smaller model.",
            )
        with self._changed:
            if not self._changed.wait_for(lambda: self._make_room(size), PATIENCE):
                raise UserError(
                    f"{slot.choice.label}: no memory is free, because other visitors are using other models.",
                    "Try again in a minute.",
                )
            slot.size = size
        gc.collect()  # a model has reference cycles: without this, one that was dropped would still take memory

    def _make_room(self, size: int) -> bool:
        """Drop unused models, the least recently used first, until `size` bytes fit; False if they do not."""
        while self._taken() + size > self.memory or len(self._slots) > KEPT:
            idle = [slot for slot in self._slots.values() if not slot.users and slot.scorer is not None]
            if not idle:
                return False
            del self._slots[min(idle, key=lambda slot: slot.used).choice]
        return True

    def _taken(self) -> int:
        return sum(slot.size for slot in self._slots.values())


def _checkpoint(run: str, revision: str) -> ModelSource:
    """Return the checkpoint of a local run that a revision `step-N` names, as a repo would call it."""
    from l2t_hub.evaluate.run_checkpoints import expanded

    steps = {f"step-{source.step}": source for source in expanded([run])}
    if revision not in steps:
        raise UserError(f"{run} has no checkpoint {revision}.", nearest(revision, steps))
    return steps[revision]


def score_with(pool: ModelPool, choice: ModelChoice, sentences: Sequence[str]) -> list[Score]:
    """Score sentences with a model of the pool.

    Raises UserError as `ModelPool.use` does, for a sentence the model cannot read, and for a model whose
    probabilities are NaN.
    """
    with pool.use(choice) as scorer:
        scored = score(scorer, sentences)
    if not all(math.isfinite(sentence.bits) for sentence in scored):
        raise UserError(
            f"{choice.label}: all probabilities are NaN",
            "The training may have diverged. Check its loss curve.",
        )
    if not all(sentence.tokens for sentence in scored):
        raise UserError(
            f"{choice.label}: the tokenizer returns no tokens for this sentence",
            "Check that tokenizer.json is in the model's folder.",
        )
    return scored


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
