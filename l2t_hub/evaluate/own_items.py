"""Items of a user's own, read and checked from rows: what both minimal pairs and multiple choice are kept as."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.errors import UserError
from l2t_hub.evaluate.pair_files import PLACE, Row

Document = dict[str, Any]
MAX_ITEMS = 1_000_000


@dataclass(frozen=True)
class OwnItems:
    """Checked items. A document has the keys id and phenomenon, and those that `task` asks for."""

    noun: str
    """What one item is called, such as a pair."""
    documents: tuple[Document, ...]
    dropped: dict[str, int]
    """Number of rows left out, by reason."""
    first_dropped: dict[str, str]
    """Place of the first row left out, by reason."""
    sha256: str
    task: Callable[[str, Sequence[Document]], dict[str, Any]]
    """Makes the lm-eval task of some documents, given its name."""

    def notes(self) -> list[str]:
        """Return a line about each reason for which rows were left out."""
        total = len(self.documents) + sum(self.dropped.values())
        return [
            f"{count} of {total} {self.noun}s left out: {reason} (first: {self.first_dropped[reason]})"
            for reason, count in self.dropped.items()
        ]


def own_items(
    where: str,
    noun: str,
    rows: Iterable[Row],
    document: Callable[[Row, int], Document],
    problem: Callable[[Document], str | None],
    task: Callable[[str, Sequence[Document]], dict[str, Any]],
) -> OwnItems:
    """Return the items of some rows. Those of which `problem` names one are left out and counted.

    Raises what `document` raises, and UserError if there are too many rows or no item is left.
    """
    documents: list[Document] = []
    dropped: Counter[str] = Counter()
    first: dict[str, str] = {}
    digest = hashlib.sha256()
    for number, row in enumerate(rows, start=1):
        if number > MAX_ITEMS:
            raise UserError(f"{where}: more than {MAX_ITEMS:,} {noun}s")
        made = document(row, number)
        if reason := problem(made):
            dropped[reason] += 1
            first.setdefault(reason, row[PLACE])
            continue
        documents.append(made)
        digest.update(json.dumps(sorted(made.items()), ensure_ascii=False).encode() + b"\n")
    items = OwnItems(noun, tuple(documents), dict(dropped), first, digest.hexdigest(), task)
    if not documents:
        raise UserError(f"{where}: no {noun} to score", " ".join(items.notes()) or "The data have no rows.")
    return items
