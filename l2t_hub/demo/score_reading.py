"""The scoreboard without Gradio: it reads what a visitor chose, and finds the model of a score on the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.pairs_behind import CellReader
from l2t_hub.demo.score_sources import ScoreSource, SourceScores
from l2t_hub.demo.scoreboard import Board, ScoresBySuite, board, collect
from l2t_hub.errors import UserError
from l2t_hub.evaluate.merging import Entry
from l2t_hub.records.bounds import is_repo
from l2t_hub.report.score_report import score_table

MAX_SOURCES = 16


@dataclass(frozen=True)
class Scoreboard:
    """What the tab needs for every visitor: the page's models and results, and readers that keep what they read."""

    context: PageContext
    results: Mapping[str, str]
    read_source: Callable[[ScoreSource], SourceScores]
    read_cell: CellReader

    def scores(self, names: Sequence[str]) -> ScoresBySuite:
        """Return the results of the models and results datasets that were chosen. Problems are among its notes."""
        found, problems = [], []
        for name in list(dict.fromkeys(names))[:MAX_SOURCES]:
            try:
                found.append(self.read_source(self._source(name)))
            except UserError as error:
                problems.append(str(error))
        if len(set(names)) > MAX_SOURCES:
            problems.append(f"Only the first {MAX_SOURCES} that were chosen are read.")
        return collect(found, problems)

    def _source(self, name: str) -> ScoreSource:
        if name in self.results:
            return ScoreSource(name, self.results[name], owners=True, dataset=True)
        choice = self.context.resolve(name)
        place = self.context.models.get(choice.name)
        return ScoreSource(name, place or choice.name, choice.revision, owners=place is not None)

    def page_model(self, entry: Entry) -> str | None:
        """Return how the page calls the model of some scores, a revision included; None if it does not offer it."""
        repo, at, revision = entry.scores.model.partition("@")
        last = PurePosixPath(repo).name
        models = self.context.models
        named = [name for name, place in models.items() if place == repo]
        named = named or [name for name, place in models.items() if PurePosixPath(place).name == last]
        if len(named) == 1:
            return f"{named[0]}{at}{revision}" if is_repo(models[named[0]]) else named[0]
        return entry.scores.model if self.context.guest_models and is_repo(repo) else None

    def compare_link(self, shown: Board, label: str) -> Callable[[str, str], str]:
        """Return the function that makes the link to Compare, with the model of a cell and one to compare it with."""
        others = [other for other in shown.labels if other != label]
        entries = [shown.suite.entry(each) for each in (label, *others)]
        models = [name for name in dict.fromkeys(map(self.page_model, entries)) if name][:2]
        tab = [("tab", "compare"), *(("models", name) for name in models), ("kind", "pair")]
        return lambda good, bad: "?" + urlencode([*tab, ("good", good), ("bad", bad)])


def api_functions(tool: Scoreboard) -> tuple[Callable[..., Any], ...]:
    """Return the tab's functions without Gradio."""

    def scoreboard(models: list[str], suite: str = "", baseline: str = "") -> list[dict[str, Any]]:
        """Return the saved scores of models as rows, one for each model and cell, compared with a baseline.

        Nothing is scored anew: the rows are the results that the models' repositories and results datasets have.

        Args:
            models: Names of models or results datasets that this page offers, at most 16; "name@revision" works too.
            suite: The suite, such as "probes" or "blimp". The default is the first one that has results.
            baseline: The model that the others are compared with. The default is the first one.
        """
        shown = board(tool.scores(models).suite(suite), (), baseline or None)
        return list(score_table([shown.evaluation]))

    def scored_pairs(models: list[str], model: str, phenomenon: str, suite: str = "") -> list[dict[str, Any]]:
        """Return a model's saved decisions on the pairs of a phenomenon, wrong ones first.

        Args:
            models: Names of models or results datasets that this page offers, at most 16, whose results are read.
            model: The label of one model of these results, as in the rows of `scoreboard`.
            phenomenon: The phenomenon, as in the rows of `scoreboard`.
            suite: The suite. The default is the first one that has results.
        """
        scores = tool.scores(models)
        cell = tool.read_cell(scores.suite(suite), scores.later, model, phenomenon)
        if not cell.rows:
            raise UserError(cell.note)
        return [asdict(row) for row in cell.rows]

    return scoreboard, scored_pairs
