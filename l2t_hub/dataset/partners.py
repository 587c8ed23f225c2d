"""The other document that `last` and `deletion` take a sentence from.

A document's partner is drawn by address from a pool: documents of the same partition, split and language that become
task data themselves, those with the smallest draws u(seed, ID, "pool"). So no text of the raw half is seen as task
data, no held-out sentence gets into training data, and neighbours in a sorted source are paired no more often than
any two documents of the partition. Source, recipe and ID alone decide the pair.

The pool takes one more pass over the partition's records, before its documents are transformed. Each partition has
its own pool, so that a changed file makes only its own partitions stale, and the tasks of a cluster need nothing of
each other. The price: a partition that holds one site alone pairs texts of that site. A pool of the documents read so
far would save the pass, but would pair the first documents of a sorted source with their neighbours.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from l2t_hub.corpus.document import Document, Record
from l2t_hub.corpus.source_languages import SourceLanguages
from l2t_hub.dataset.views import Split
from l2t_hub.mixture import is_held_out, is_raw, is_task, uniform
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.languages import Language

POOL_DOCUMENTS = 1024
POOL_CHARACTERS = 16_000_000


@dataclass
class SourceText:
    """A document of which the sentences may be needed. They are split on first use."""

    document: Document
    languages: SourceLanguages

    @cached_property
    def language(self) -> Language:
        """The document's language."""
        return self.languages.of(self.document)

    @cached_property
    def sentences(self) -> list[str]:
        """The document's sentences."""
        return self.languages.sentences(self.document.text, self.language)


class Pool:
    """The documents with the smallest draws among those offered, in any order: POOL_DOCUMENTS at most.

    The texts together have at most POOL_CHARACTERS characters; but two documents are kept, however long.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, str, Document]] = []
        self._ids: set[str] = set()
        self._characters = 0
        self._limit = 1.0

    def offer(self, draw: float, document: Document) -> None:
        """Add a document if its draw, in [0, 1), is small enough. A repeated ID is not added."""
        if draw >= self._limit or document.id in self._ids:
            return
        heapq.heappush(self._heap, (-draw, document.id, document))
        self._ids.add(document.id)
        self._characters += len(document.text)
        while len(self._heap) > POOL_DOCUMENTS or (
            self._characters > POOL_CHARACTERS and len(self._heap) > 2
        ):
            largest, document_id, removed = heapq.heappop(self._heap)
            self._ids.remove(document_id)
            self._characters -= len(removed.text)
            self._limit = -largest  # a later document with a larger draw would not have been kept either

    def documents(self) -> list[Document]:
        """Return the documents by increasing draw."""
        return [document for _, _, document in sorted(self._heap, reverse=True)]


class Partners:
    """Draws the partner of a document from the pool of its split and language (a code)."""

    def __init__(self, seed: int, pools: Mapping[tuple[Split, str], list[SourceText]]) -> None:
        self._seed, self._pools = seed, pools
        self._places = {
            (key, text.document.id): place for key, pool in pools.items() for place, text in enumerate(pool)
        }

    def of(self, document_id: str, split: Split, language: str = "en") -> SourceText | None:
        """Return the partner of a document, which is never the document itself, or None if there is no other."""
        key = (split, language)
        pool, own = self._pools.get(key, []), self._places.get((key, document_id))
        others = len(pool) - (own is not None)
        if not others:
            return None
        place = int(uniform(self._seed, document_id, "other") * others)
        return pool[place + 1 if own is not None and place >= own else place]


def find_partners(
    recipe: Recipe, tasks: Mapping[str, Task], languages: SourceLanguages, records: Iterable[Record]
) -> Partners:
    """Choose the pools of a partition's records. Without a task that needs another document, nothing is read."""
    pools: defaultdict[tuple[Split, str], Pool] = defaultdict(Pool)
    seed, mixture = recipe.seed, recipe.mixture
    for record in records if any(task.needs_other for task in tasks.values()) else ():
        if isinstance(record, Document) and is_task(is_raw(seed, record.id, mixture), mixture):
            held_out = is_held_out(seed, record, recipe.validation.share)
            split: Split = "validation" if held_out else "train"
            pool = pools[split, languages.of(record).code]
            pool.offer(uniform(seed, record.id, "pool"), record)
    texts = {key: [SourceText(d, languages) for d in pool.documents()] for key, pool in pools.items()}
    return Partners(seed, texts)
