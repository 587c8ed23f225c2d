"""The scoreboard: the models of some results side by side, compared with one of them, as `l2t report` does it.

Results are only put together if they were asked for in the same way: each suite and protocol has a board of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from l2t_hub.demo.score_sources import RepoFile, SourceScores
from l2t_hub.errors import UserError, nearest
from l2t_hub.evaluate.merging import Entry, as_evaluation, grouped
from l2t_hub.evaluate.results import Evaluation
from l2t_hub.evaluate.score_rows import protocol_sha256
from l2t_hub.evaluate.training_runs import last_checkpoints, latest
from l2t_hub.report.score_sheets import phenomena_sheet
from l2t_hub.report.sheet import Cell, Figure, Sheet
from l2t_hub.text import counted

MAX_COLUMNS = 12


@dataclass(frozen=True)
class SuiteScores:
    """All models that were scored on one suite in one way. `name` tells it from the others."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(entry.scores.label for entry in self.entries)

    def entry(self, label: str) -> Entry:
        """Return a model. Raises UserError with the nearest name if there is none."""
        for entry in self.entries:
            if entry.scores.label == label:
                return entry
        raise UserError(
            f"{label[:80]}: no such model has scores on {self.name}. {nearest(label, self.labels)}"
        )


@dataclass(frozen=True)
class ScoresBySuite:
    """The results of some sources by suite, notes on what is not shown or not compared, and files not downloaded."""

    suites: tuple[SuiteScores, ...]
    notes: tuple[str, ...]
    later: Mapping[Path, RepoFile]

    def suite(self, name: str | None) -> SuiteScores:
        """Return a suite, the first one for no name. Raises UserError if there is none."""
        names = [suite.name for suite in self.suites]
        if not names:
            raise UserError("No scores to show.", "Choose models that have results.")
        if not name:
            return self.suites[0]
        if name not in names:
            raise UserError(f"{name[:80]}: no scores on such a suite. {nearest(name, names)}")
        return self.suites[names.index(name)]


@dataclass(frozen=True)
class Board:
    """What is shown of a suite: models side by side, compared with the first one. `everything` has all its models."""

    suite: SuiteScores
    evaluation: Evaluation
    everything: Evaluation
    notes: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the models that are shown."""
        return tuple(model.label for model in self.evaluation.models)


def collect(sources: Sequence[SourceScores], problems: Sequence[str] = ()) -> ScoresBySuite:
    """Return the results of some sources by suite. `problems` are other things that are not shown."""
    groups, notes = grouped([result for source in sources for result in source.results])
    protocols = [group[0].result.evaluation.protocol for group in groups]
    names = [protocol.suite for protocol in protocols]
    suites = (
        SuiteScores(
            name if names.count(name) == 1 else f"{name} (protocol {protocol_sha256(protocol)[:8]})",
            tuple(group),
        )
        for name, group, protocol in zip(names, groups, protocols, strict=True)
    )
    problems = [*problems, *(problem for source in sources for problem in source.problems)]
    later = {path: file for source in sources for path, file in source.later.items()}
    return ScoresBySuite(tuple(suites), tuple(dict.fromkeys([*problems, *notes])), later)


def board(suite: SuiteScores, columns: Sequence[str] = (), baseline: str | None = None) -> Board:
    """Return the models of a suite side by side, compared with the baseline.

    The default columns are the last checkpoint of each run, up to `MAX_COLUMNS`; the default baseline is the first
    model. Raises UserError for a model that the suite has no scores of.
    """
    scores = [entry.scores for entry in suite.entries]
    first = suite.entry(baseline) if baseline else suite.entry(latest(scores).label)
    notes: list[str] = []
    everything = as_evaluation([first, *(entry for entry in suite.entries if entry is not first)], None, [])
    shown = [suite.entry(label) for label in dict.fromkeys(columns)]
    if not shown:
        last = {model.label for model in last_checkpoints(everything).models}
        shown = [entry for entry in suite.entries if entry.scores.label in last]
    others = [entry for entry in shown if entry is not first]
    if len(others) >= MAX_COLUMNS:
        notes.append(
            f"{MAX_COLUMNS} of {counted(len(others) + 1, 'model')} are shown. Choose others as columns."
        )
    evaluation = as_evaluation([first, *others[: MAX_COLUMNS - 1]], first, notes)
    return Board(suite, evaluation, everything, tuple(dict.fromkeys(notes)))


def sorted_table(shown: Board, column: str = "", *, descending: bool = False) -> Sheet:
    """Return the table of a board, sorted by a column of that name; the overall figures stay at the end."""
    table = phenomena_sheet(shown.evaluation)
    if column not in table.header:
        return table
    place = table.header.index(column)
    end = len(table.rows) - table.overall
    rows = sorted(table.rows[:end], key=lambda row: sort_value(row[place]), reverse=descending)
    return replace(table, rows=(*rows, *table.rows[end:]))


def sort_value(cell: Cell) -> tuple[float, str]:
    """Return what a column is sorted by: the value of a figure or number, the letters of a text."""
    if isinstance(cell, Figure):
        return cell.value, ""
    return (float("-inf"), cell or "") if cell is None or isinstance(cell, str) else (float(cell), "")
