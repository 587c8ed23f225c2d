"""The pairs behind a score: a model's decision on each, wrong ones first, from its file of scored examples.

Results of a results dataset have no such file, and old files have no sentences. Then the bundled pairs help, if the
results are on those: they have the sentences, and a model of the page can be asked about them here.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock

from l2t_hub.demo.score_sources import RepoFile, fetch_samples
from l2t_hub.demo.scoreboard import SuiteScores
from l2t_hub.errors import UserError, nearest
from l2t_hub.evaluate.comparing import leading_space
from l2t_hub.evaluate.merging import Entry, decisions_of
from l2t_hub.evaluate.results import Protocol, Sample, reading_name
from l2t_hub.evaluate.suites import PROBES, SUITES
from l2t_hub.scoring import Scorer, score
from l2t_hub.text import counted

MAX_SCORED = 200
"""Pairs of a cell that the page scores itself."""
KEPT_CELLS = 32
NO_SAMPLES = "The decisions on single pairs are not saved with these results."
NO_TEXTS = "These results were made before sentences were saved with them."


@dataclass(frozen=True)
class PairRow:
    """A model's decision on an example; `good` and `bad` are None if the sentences are not known.

    `bits` is how much more probable the right answer is than the next best one, `other_bits` the same with the other
    spacing of the sentences.
    """

    id: str
    paradigm: str
    good: str | None
    bad: str | None
    right: bool
    bits: float | None
    other_bits: float | None = None


@dataclass(frozen=True)
class CellPairs:
    """The pairs behind one score, wrong ones first. `can_score` says that the page can score them itself.

    `total` counts all pairs of the cell; `rows` are those at hand.
    """

    model: str
    phenomenon: str
    rows: tuple[PairRow, ...]
    total: int
    wrong: int
    space: bool
    note: str = ""
    can_score: bool = False

    @property
    def readings(self) -> tuple[str, str]:
        """The names of the suite's own reading and of the other spacing."""
        return reading_name(self.space, per_token=False), reading_name(not self.space, per_token=False)


@dataclass(frozen=True)
class _CellKey:
    path: Path
    sha256: str | None
    label: str
    phenomenon: str
    entry: Entry = field(compare=False)
    file: RepoFile | None = field(compare=False)


CellReader = Callable[[SuiteScores, Mapping[Path, RepoFile], str, str], CellPairs]


def cell_reader() -> CellReader:
    """Return a function that reads the pairs behind a score, one cell at a time, and keeps the last cells.

    It raises UserError for a model or phenomenon without scores, and for scored examples that are not those of the
    results.
    """
    lock = Lock()

    @lru_cache(maxsize=KEPT_CELLS)
    def kept(key: _CellKey) -> tuple[PairRow, ...]:
        if key.file is not None:
            fetch_samples(key.file)
        samples = next((found for _, found in decisions_of(key.entry.result, [key.entry])), [])
        protocol = key.entry.result.evaluation.protocol
        return wrong_first([_row(s, protocol) for s in samples if s.phenomenon == key.phenomenon])

    def read(suite: SuiteScores, later: Mapping[Path, RepoFile], label: str, phenomenon: str) -> CellPairs:
        entry = suite.entry(label)
        cell = _empty_cell(entry, label, phenomenon)
        path, evaluation = entry.result.path, entry.result.evaluation
        file = later.get(path)
        missing = file is None and not (path.parent / Path(evaluation.samples_file or "none").name).is_file()
        if missing or not entry.has_samples():
            return cell
        with lock:  # a file of BLiMP takes 100 MB while it is read
            rows = kept(_CellKey(path, evaluation.samples_sha256, entry.label, phenomenon, entry, file))
        known = all(row.good is not None for row in rows)
        return _with_rows(cell, rows, "" if known or not _are_pairs(entry) else NO_TEXTS)

    return read


def _empty_cell(entry: Entry, label: str, phenomenon: str) -> CellPairs:
    """Return a cell without its pairs. Raises UserError if the model has no such score."""
    rows = {row.phenomenon: row for row in entry.scores.phenomena}
    if phenomenon not in rows:
        raise UserError(f"{label[:80]}: no score on {phenomenon[:80]}. {nearest(phenomenon, rows)}")
    row, protocol = rows[phenomenon], entry.result.evaluation.protocol
    pairs = bundled_pairs(protocol, phenomenon)
    return CellPairs(
        label,
        phenomenon,
        (),
        row.total,
        row.total - row.correct,
        leading_space(protocol.tasks),
        NO_SAMPLES,
        can_score=bool(pairs),
    )


def _with_rows(cell: CellPairs, rows: Sequence[PairRow], note: str) -> CellPairs:
    return CellPairs(
        cell.model, cell.phenomenon, tuple(rows), cell.total, cell.wrong, cell.space, note, can_score=False
    )


def _are_pairs(entry: Entry) -> bool:
    return bool(entry.scores.readings)


def _row(sample: Sample, protocol: Protocol) -> PairRow:
    good = bad = None
    if len(sample.texts) == 2 and sample.gold in (0, 1):
        good, bad = sample.texts[sample.gold], sample.texts[1 - sample.gold]
    elif not sample.texts:
        good, bad = dict(bundled_pairs(protocol, sample.phenomenon)).get(sample.id, (None, None))
    return PairRow(
        sample.id,
        sample.paradigm or "",
        good,
        bad,
        sample.correct,
        _margin(sample.log_likelihoods, sample.gold),
        _margin(sample.respaced, sample.gold),
    )


def _margin(values: Sequence[float], gold: int | None) -> float | None:
    """Return in bits how much more probable the right answer is than the best of the others."""
    others = [value for i, value in enumerate(values) if i != gold]
    if gold is None or gold >= len(values) or not others:
        return None
    return (values[gold] - max(others)) / math.log(2)


def wrong_first(rows: Sequence[PairRow]) -> tuple[PairRow, ...]:
    """Return the wrong ones first, by how wrong they are; then the right ones, the closest first."""
    return tuple(sorted(rows, key=lambda row: (row.right, row.bits if row.bits is not None else 0.0, row.id)))


Pairs = tuple[tuple[str, tuple[str, str]], ...]


def bundled_pairs(protocol: Protocol, phenomenon: str) -> Pairs:
    """Return (id, (good, bad)) of the bundled pairs of a phenomenon; nothing if the results are on other pairs."""
    suite = SUITES["probes"]
    if protocol.suite != suite.name or protocol.suite_sha256 != _digest():
        return ()
    return _bundled().get(phenomenon, ())[: protocol.limit]


@cache
def _digest() -> str | None:
    return SUITES["probes"].digest()


@cache
def _bundled() -> dict[str, Pairs]:
    found: dict[str, list[tuple[str, tuple[str, str]]]] = {}
    for file in sorted((PROBES / "data").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.setdefault(row["phenomenon"], []).append((row["id"], (row["good"], row["bad"])))
    return {name: tuple(pairs) for name, pairs in found.items()}


def score_cell(suite: SuiteScores, label: str, phenomenon: str, scorer: Scorer, name: str) -> CellPairs:
    """Score the bundled pairs of a cell with a model of the page, at most `MAX_SCORED`, beside the saved score.

    Raises UserError if the cell is not on the bundled pairs.
    """
    entry = suite.entry(label)
    cell = _empty_cell(entry, label, phenomenon)
    pairs = bundled_pairs(entry.result.evaluation.protocol, phenomenon)[:MAX_SCORED]
    if not pairs:
        raise UserError(f"{suite.name}: its pairs are not part of this page, so it cannot score them.")
    space = " " if cell.space else ""
    texts = [f"{space}{sentence}" for _, both in pairs for sentence in both]
    bits = [one.bits for one in score(scorer, texts)]
    rows = [
        PairRow(item, item.split("/")[1] if item.count("/") > 1 else "", good, bad, b > a, b - a)
        for (item, (good, bad)), a, b in zip(pairs, bits[::2], bits[1::2], strict=True)
    ]
    right = sum(row.right for row in rows)
    note = (
        f"Scored here by {name}: {right} of {counted(len(rows), 'pair')} right. The saved score counts "
        f"{cell.total - cell.wrong} of {cell.total}."
    )
    return _with_rows(cell, wrong_first(rows), note)
