"""The command `l2t train` as data: what the user typed, and the words that train the same elsewhere."""

from dataclasses import dataclass
from pathlib import Path

from l2t_hub.errors import UsageError, nearest

LOCAL, SLURM, JOBS = PLACES = ("local", "slurm", "hf-jobs")


@dataclass(frozen=True)
class TrainCommand:
    """The arguments and options of a training."""

    recipe: str
    data: str
    out: Path
    sets: tuple[str, ...] = ()
    variant: str | None = None
    follow_data: bool = False
    held_out: Path | str | None = None
    hub: str | None = None
    push: str | None = None
    push_every: int = 1
    private: bool = False
    shrink: bool = False

    def arguments(self) -> tuple[str, ...]:
        """Return the words of the command after `l2t`. The one of a run that is to be continued has no --fresh."""
        words = ["train", self.recipe, f"--data={self.data}", f"--out={self.out}"]
        words += [f"--set={override}" for override in self.sets]
        words += [f"--variant={self.variant}"] if self.variant else []
        words += ["--shrink"] if self.shrink else []
        words += ["--follow-data"] if self.follow_data else []
        words += [f"--held-out={self.held_out}"] if self.held_out else []
        words += [f"--hub={self.hub}"] if self.hub else []
        words += self.push_options()
        return tuple(words)

    def push_options(self) -> list[str]:
        """Return the options that send the checkpoints to a Hub."""
        if self.push is None:
            return []
        every = [f"--push-every={self.push_every}"] if self.push_every != 1 else []
        return [f"--push={self.push}", *every, *(["--private"] if self.private else [])]


def check_place(place: str, fresh: bool, print_only: bool, hardware: tuple[object, ...]) -> None:
    """Raise UsageError for an unknown place, and for options that do not go with it.

    `hardware` are the values of those that only a Hugging Face Job has: its flavor and hours, and more.
    """
    if place not in PLACES:
        raise UsageError(f"--on {place}: unknown. {nearest(place, PLACES)}")
    if place == JOBS and None in hardware[:2]:
        raise UsageError(
            "--on hf-jobs needs --flavor and --hours", "`hf jobs hardware` lists flavors and prices."
        )
    if place != JOBS and any(hardware):
        raise UsageError(
            "--flavor, --hours and --secret apply only with --on hf-jobs",
            "The resources of a Slurm job are keys of the recipe's `cluster` section.",
        )
    if place == LOCAL and print_only:
        raise UsageError("--print applies only with --on", f"Name a place: {', '.join(PLACES[1:])}.")
    if place != LOCAL and fresh:
        raise UsageError(
            f"--fresh cannot go with --on {place}: the job would start over whenever it is continued",
            "Choose another --out, or move the old directory away.",
        )
