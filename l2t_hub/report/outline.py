"""A report of scores before it has a format: sections of sentences, tables and plots."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from l2t_hub.report.sheet import Sheet

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot


@dataclass(frozen=True)
class ReportSection:
    """One suite, or another subject. `fine_print` says how the figures were made."""

    title: str
    sentences: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    plots: "Mapping[str, Plot]" = field(default_factory=dict)
    fine_print: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report: notes that concern all of it, its sections, and its figures as the rows of a CSV file."""

    title: str
    notes: tuple[str, ...]
    sections: tuple[ReportSection, ...]
    rows: tuple[Mapping[str, Any], ...] = ()
