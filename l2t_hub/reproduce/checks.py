"""What a reproduction found: one check after another, each equal or not, and the first difference in words."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Check:
    """One thing compared. `published` and `here` are short: a hash, a loss, a count; `note` says the rest."""

    what: str
    equal: bool
    published: str
    here: str
    note: str = ""


@dataclass(frozen=True)
class ReproduceReport:
    """All checks of one reproduction. `scope` says how much was made again, `rule` what counts as equal.

    `environment` names what differs between the machine of the release and this one. It decides nothing by itself,
    but explains differences, and for a model whether losses must agree to the last bit.
    """

    target: str
    kind: str
    fingerprint: str
    scope: str
    rule: str
    checks: tuple[Check, ...]
    environment: tuple[str, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether everything that was compared is equal."""
        return all(check.equal for check in self.checks)

    @property
    def first_difference(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.checks if not check.equal), None)

    def as_dict(self) -> dict[str, Any]:
        """For a program to read."""
        first = self.first_difference
        return {
            **asdict(self),
            "equal": self.equal,
            "first_difference": asdict(first) if first else None,
        }

    def summary(self) -> str:
        """For a person to read: what was compared, whether it is equal, and where it first is not."""
        passed = sum(check.equal for check in self.checks)
        lines = [f"{self.target}: {self.kind} {self.fingerprint[:12]}, {self.scope} ({self.seconds:.1f} s)"]
        first = self.first_difference
        if first is None:
            lines.append(f"reproduced: all {passed} comparisons are equal; {self.rule}")
        else:
            lines.append(
                f"NOT reproduced: {len(self.checks) - passed} of {len(self.checks)} comparisons differ; {self.rule}"
            )
            where = f"; {first.note}" if first.note else ""
            lines.append(
                f"first difference: {first.what}: published {first.published}, here {first.here}{where}"
            )
        if self.environment:
            lines.append("this machine differs from the one of the release:")
            lines += [f"  {line}" for line in self.environment]
        return "\n".join(lines)

    def table(self) -> Table:
        """Every comparison, a row each."""
        table = Table("", "compared", "published", "here", "", header_style="bold")
        for check in self.checks:
            mark = Text("=", style="green") if check.equal else Text("≠", style="bold red")
            cells = (Text(cell) for cell in (check.what, check.published, check.here, check.note))
            table.add_row(mark, *cells)
        return table
