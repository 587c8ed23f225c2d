"""Copies of a model on further devices: the engine's batches run on all of them at once.

The copies belong to the model: whoever scores with it uses them, and they go when it goes.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

B = TypeVar("B")
R = TypeVar("R")
_COPIES: "WeakKeyDictionary[Any, tuple[Any, ...]]" = WeakKeyDictionary()


def add_replicas(model: Any, devices: Sequence[Any]) -> None:
    """Copy a model to further devices."""
    _COPIES[model] = tuple(copy.deepcopy(model).to(device) for device in devices)


def replicas(model: Any) -> tuple[Any, ...]:
    """Return a model and its copies."""
    return (model, *_COPIES.get(model, ()))


def run_on_all(model: Any, batches: Iterable[B], forward: Callable[[Any, B], R]) -> Iterator[tuple[B, R]]:
    """Yield each batch with what `forward` returns for it, in order. Each replica has one batch at a time."""
    models = replicas(model)
    if len(models) == 1:
        for batch in batches:
            yield batch, forward(model, batch)
        return
    free: SimpleQueue[Any] = SimpleQueue()
    for replica in models:
        free.put(replica)

    def run(batch: B) -> R:
        replica = free.get()
        try:
            return forward(replica, batch)
        finally:
            free.put(replica)

    waiting: deque[tuple[B, Future[R]]] = deque()
    with ThreadPoolExecutor(len(models)) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(run, batch)))
            if len(waiting) > 2 * len(models):
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
