"""A table of a report before it has a format: a header, and rows of text, numbers and figures with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2t_hub.evaluate.results import Estimate, Measure, MeasureDifference


@dataclass(frozen=True)
class Figure:
    """An accuracy or a difference in percent, or with `plain` another figure. A difference has a sign.

    Without limits it has no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    signed: bool = False
    plain: bool = False
    lower_is_better: bool = False

    @property
    def is_marked(self) -> bool:
        """Whether it is a difference whose interval does not contain 0."""
        return (
            self.signed and self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
        )

    @property
    def is_good(self) -> bool:
        """Whether a difference is one for the better."""
        return (self.value > 0) != self.lower_is_better

    def main(self) -> str:
        """Return the value, such as '61.2', '+1.6' or '0.412'."""
        return self._shown(self.value, 1)

    def interval(self, digits: int = 1) -> str:
        """Return the interval, such as '[58.0, 64.3]', '' if there is none. `digits` are those of percentages."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self._shown(self.low, digits)}, {self._shown(self.high, digits)}]"

    def _shown(self, value: float, digits: int) -> str:
        sign = "+" if self.signed else ""
        text = f"{value:{sign}.3f}" if self.plain else f"{100 * value:{sign}.{digits}f}"
        return text.replace("-", "", 1) if float(text) == 0 and text.startswith("-") else text


Cell = str | int | Figure | None


@dataclass(frozen=True)
class Sheet:
    """A table with its caption. The last `overall` rows sum up those above; the first column is text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    overall: int = 0


def accuracy(estimate: Estimate) -> Figure:
    """Return an accuracy with its interval."""
    return Figure(estimate.value, estimate.low, estimate.high)


def difference(estimate: Estimate) -> Figure:
    """Return a difference with its interval, if it has one."""
    low, high = (estimate.low, estimate.high) if estimate.has_interval else (None, None)
    return Figure(estimate.value, low, high, signed=True)


def measure(row: Measure) -> Figure:
    """Return a figure that is no accuracy, such as a loss."""
    return Figure(row.value, row.low, row.high, plain=True)


def measure_difference(row: MeasureDifference) -> Figure:
    """Return the difference of such a figure with its interval."""
    estimate, lower = row.difference, row.better == "lower"
    return Figure(estimate.value, estimate.low, estimate.high, signed=True, plain=True, lower_is_better=lower)


def sheet(caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], overall: int = 0) -> Sheet:
    """Return a table of rows with a cell for each column. Columns without anything in them are left out."""
    kept = [i for i in range(len(header)) if i == 0 or any(row[i] is not None for row in rows)]
    return Sheet(
        caption, tuple(header[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows), overall
    )
