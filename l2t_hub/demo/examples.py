"""Example pairs for the page, a few per phenomenon, from the bundled probes."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from l2t_hub.resources import PACKAGE

PROBES = PACKAGE / "evaluate" / "probes" / "data"
PER_PHENOMENON = 6


def example_pairs(
    folder: Path = PROBES, per_phenomenon: int = PER_PHENOMENON
) -> dict[str, list[tuple[str, str]]]:
    """Return up to `per_phenomenon` (grammatical, ungrammatical) pairs for each phenomenon in `folder`.

    Every `*.jsonl` file is read. The pairs of a phenomenon are taken from its paradigms in turn, so that a few pairs
    cover many of them.
    """
    phenomena: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            paradigms = phenomena.setdefault(phenomenon_title(row["phenomenon"]), {})
            paradigms.setdefault(row["paradigm"], []).append((row["good"], row["bad"]))
    return {
        name: list(islice(_in_turn(list(paradigms.values())), per_phenomenon))
        for name, paradigms in sorted(phenomena.items())
    }


def _in_turn(lists: list[list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    for number in range(max(map(len, lists))):
        for pairs in lists:
            if number < len(pairs):
                yield pairs[number]


def phenomenon_title(name: str) -> str:
    """Return a readable name: `subject_verb_agreement` becomes "Subject-verb agreement"."""
    title = name.replace("_", " ")
    for compound in ("subject verb", "determiner noun", "filler gap"):
        title = title.replace(compound, compound.replace(" ", "-"))
    title = title.replace("control raising", "control/raising").replace("npi ", "NPI ")
    return title[:1].upper() + title[1:]
