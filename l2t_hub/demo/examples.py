"""Example pairs for the page, a few per phenomenon: from the bundled probes, and from BLiMP where it can be had.

BLiMP is not part of the package. It comes from the Hub when a visitor first asks for it, or from the owner's files.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from l2t_hub.resources import PACKAGE

PROBES = PACKAGE / "evaluate" / "probes" / "data"
PER_PHENOMENON = 24
BLIMP = "nyu-mll/blimp"
BLIMP_VARIABLE = "L2T_DEMO_BLIMP"
"""Environment variable: BLiMP in a file (or a pattern of files), another dataset on the Hub, or `none`."""

Examples = dict[str, list[tuple[str, str]]]
"""(grammatical, ungrammatical) sentences by the title of their phenomenon."""


def example_pairs(folder: Path = PROBES, per_phenomenon: int = PER_PHENOMENON) -> Examples:
    """Return up to `per_phenomenon` pairs for each phenomenon in `folder`, from every `*.jsonl` file in it."""
    lines = (
        line
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    )
    return _by_phenomenon(map(json.loads, lines), per_phenomenon)


def blimp_source(environment: Mapping[str, str]) -> str | None:
    """Return where BLiMP is: what the variable says, else the Hub; None if it is off or the Hub is offline."""
    from huggingface_hub import is_offline_mode

    given = environment.get(BLIMP_VARIABLE, "").strip()
    if given:
        return None if given.lower() == "none" else given
    return None if is_offline_mode() else BLIMP


@cache
def blimp_pairs(source: str, per_phenomenon: int = PER_PHENOMENON) -> Examples:
    """Return pairs of BLiMP, from files or a dataset on the Hub. Raises UserError if it cannot be read."""
    from l2t_hub.evaluate.pair_set import PairSpec, read_pairs
    from l2t_hub.evaluate.suites import SUITES
    from l2t_hub.records.bounds import is_repo

    suite, base, files = SUITES["blimp"], Path(), source
    if is_repo(source.partition("@")[0]) and not Path(source).exists():
        base, files = _from_hub(source), "**/*.parquet"
    columns = {"good": "sentence_good", "bad": "sentence_bad", "by": (str(suite.phenomenon_column), "UID")}
    found = read_pairs(PairSpec.model_validate({"name": "blimp", "pairs": files, **columns}), base)
    rows = (
        {**row, "phenomenon": suite.renamed.get(row["phenomenon"], row["phenomenon"])}
        for row in found.documents
    )
    return _by_phenomenon(rows, per_phenomenon)


def _from_hub(source: str) -> Path:
    """Return the directory of a dataset's Parquet files, in the Hub's cache. Nothing else of it is fetched."""
    from huggingface_hub import constants, snapshot_download

    from l2t_hub.hub.download import parse_name
    from l2t_hub.hub.failures import hub_error

    repo, revision = parse_name(source)
    try:
        found = snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns="*.parquet")
    except Exception as error:
        raise hub_error(error, f"{repo}: download failed", constants.ENDPOINT) from error
    return Path(found)


def _by_phenomenon(rows: Iterable[Mapping[str, Any]], per_phenomenon: int) -> Examples:
    """Take the pairs of a phenomenon from its paradigms in turn, so that a few pairs cover many of them."""
    phenomena: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for row in rows:
        paradigms = phenomena.setdefault(phenomenon_title(row["phenomenon"]), {})
        pairs = paradigms.setdefault(row["paradigm"], [])
        if len(pairs) < per_phenomenon:
            pairs.append((row["good"], row["bad"]))
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
