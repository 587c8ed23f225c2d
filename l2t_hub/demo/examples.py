"""A few pairs per phenomenon from the bundled probes, for people who would rather pick than type."""

import json
from collections.abc import Iterator
from pathlib import Path

from l2t_hub.resources import PACKAGE

PROBES = PACKAGE / "evaluate" / "probes" / "data"
PER_PHENOMENON = 6


def example_pairs(
    folder: Path = PROBES, per_phenomenon: int = PER_PHENOMENON
) -> dict[str, list[tuple[str, str]]]:
    """Give up to `per_phenomenon` (grammatical, ungrammatical) pairs for each phenomenon found in `folder`.

    Every `*.jsonl` there is read, however many there are; the rows of a phenomenon are taken from its paradigms in
    turn, so that a few pairs show all of what it covers.
    """
    phenomena: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            paradigms = phenomena.setdefault(phenomenon_title(row["phenomenon"]), {})
            paradigms.setdefault(row["paradigm"], []).append((row["good"], row["bad"]))
    return {
        name: [
            pair for _, pair in zip(range(per_phenomenon), _in_turn(list(paradigms.values())), strict=False)
        ]
        for name, paradigms in sorted(phenomena.items())
    }


def _in_turn(lists: list[list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    for number in range(max(map(len, lists))):
        for pairs in lists:
            if number < len(pairs):
                yield pairs[number]


def phenomenon_title(name: str) -> str:
    """Give a phenomenon's name for reading: `subject_verb_agreement` is "Subject-verb agreement"."""
    title = name.replace("_", " ")
    for compound in ("subject verb", "determiner noun", "filler gap"):
        title = title.replace(compound, compound.replace(" ", "-"))
    title = title.replace("control raising", "control/raising").replace("npi ", "NPI ")
    return title[:1].upper() + title[1:]
