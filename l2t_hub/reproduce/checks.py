"""The result of a reproduction: a list of checks, and the report made of them."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.text import counted


@dataclass(frozen=True)
class Check:
    """One comparison. `published` and `here` are short (a hash, a loss, a count); `note` has the details."""

    what: str
    equal: bool
    published: str
    here: str
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was compared. `scope` says how much was rebuilt, `rule` what counts as equal.

    `environment` lists how this machine differs from the one of the release: it explains differences. `left_out`
    says in words what was not compared.
    """

    kind: str
    fingerprint: str
    scope: str
    rule: str
    checks: tuple[Check, ...]
    environment: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReproduceReport(Outcome):
    """An outcome with the name that was given, and the seconds it took."""

    target: str
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every check passed."""
        return all(check.equal for check in self.checks)

    @property
    def first_difference(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.checks if not check.equal), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        first = self.first_difference
        return {
            **asdict(self),
            "equal": self.equal,
            "first_difference": asdict(first) if first else None,
        }

    def summary(self) -> str:
        """Return the report in words: what was compared, whether it is equal, and the first difference."""
        lines = [f"{self.target}: {self.kind} {self.fingerprint[:12]}, {self.scope} ({self.seconds:.1f} s)"]
        first = self.first_difference
        count = len(self.checks)
        if first is None:
            lines.append(f"reproduced: {counted(count, 'comparison')}, all equal. {self.rule}")
        else:
            differing = sum(not check.equal for check in self.checks)
            lines.append(
                f"NOT reproduced: {counted(count, 'comparison')}, {differing:,} not equal. {self.rule}"
            )
            note = f" ({first.note})" if first.note else ""
            lines.append(
                f"first difference: {first.what}: published {first.published}, here {first.here}{note}"
            )
        if self.left_out:
            lines.append(f"Not compared: {'; '.join(self.left_out)}.")
        if self.environment:
            lines.append("This machine differs from the one that made the release:")
            lines += [f"  {line}" for line in self.environment]
        return "\n".join(lines)

    def table(self) -> Table:
        """Return a table with a row per check."""
        table = WholeTable("", "compared", "published", "here", "", header_style="bold")
        for check in self.checks:
            mark = Text("=", style="green") if check.equal else Text("≠", style="bold red")
            cells = (Text(cell) for cell in (check.what, check.published, check.here, check.note))
            table.add_row(mark, *cells)
        return table
