"""Generate the bundled probe suite (`l2t_hub/evaluate/probes/`) from the hand-written frames in `scripts/probes/`.

A frame is a sentence with slots and a contrast.

- `{person}` is a word of that lexicon class, `{person:pl}` one of its forms, `{person.2}` another word of the class.
  The same slot twice is the same word.
- `[is|are]` holds what makes the sentence good and what makes it bad. A contrast in word order is written as two
  whole sentences, `good` and `bad`.
- `rows` fill named slots with words that belong together, one pair per row. Without rows, `n` pairs are generated.

Each lexicon class is a deck that is shuffled by (suite version, phenomenon, paradigm, class) and dealt in turn, so
the same files always give the same pairs.

    python scripts/make_probes.py            write the data and the task files
    python scripts/make_probes.py --check    list the committed files that differ; exit 1 if any does
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

FRAMES = Path(__file__).parent / "probes"
SUITE = Path(__file__).parent.parent / "l2t_hub" / "evaluate" / "probes"
VERSION = "1.0"
FORMS = {"nouns": ("", "pl"), "verbs": ("", "s", "past", "part"), "words": ("",)}
SLOT = re.compile(r"\{(\w+)(?:\.(\d))?(?::(\w+))?\}")
CONTRAST = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")
# A word that begins with a vowel letter takes "an". The lexicon has no exceptions such as "hour" or "use".
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")

Lexicon = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Pair:
    """One minimal pair, a line of the data: the good sentence is grammatical, the bad one is not."""

    id: str
    phenomenon: str
    paradigm: str
    good: str
    bad: str


def read_yaml(path: Path) -> Any:
    """Read every scalar as a string: YAML would read "no" and "true" as Booleans."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def read_lexicon(path: Path) -> Lexicon:
    """Return {class: entries}. An entry maps the name of a form to the word; "" is the base form."""
    lexicon: Lexicon = {}
    for kind, classes in read_yaml(path).items():
        for name, entries in classes.items():
            forms = [entry if isinstance(entry, list) else [entry] for entry in entries]
            lexicon[name] = [dict(zip(FORMS[kind], words, strict=True)) for words in forms]
    return lexicon


class Decks:
    """The shuffled decks of one paradigm, one per lexicon class. A dealt word goes to the bottom of its deck."""

    def __init__(self, lexicon: Lexicon, address: str) -> None:
        self._lexicon, self._address = lexicon, address
        self._decks: dict[str, list[dict[str, str]]] = {}

    def deal(self, name: str, taken: set[str]) -> dict[str, str]:
        """Return the next entry of class `name` that has no form in `taken`."""
        if name not in self._decks:
            deck = list(self._lexicon[name])
            random.Random(f"l2t_probes/{VERSION}/{self._address}/{name}").shuffle(deck)
            self._decks[name] = deck
        deck = self._decks[name]
        entry = next(entry for entry in deck if not taken & set(entry.values()))
        deck.append(deck.pop(deck.index(entry)))
        return entry


def templates(frame: dict[str, Any]) -> tuple[str, str]:
    """Split a frame into its good and its bad sentence, with their slots unfilled."""
    if "good" in frame:
        return frame["good"], frame["bad"]
    text = frame["frame"]
    if not CONTRAST.search(text):
        raise ValueError(f"no [good|bad] in frame: {text}")
    return CONTRAST.sub(r"\1", text), CONTRAST.sub(r"\2", text)


def fill(sentences: tuple[str, str], row: dict[str, str], decks: Decks) -> tuple[str, str]:
    """Fill the slots of both sentences with the same words, first from the row, then from the decks."""
    good, bad = (SLOT.sub(lambda m: row.get(m[1], m[0]), s) for s in sentences)
    taken = set(re.findall(r"[A-Za-z]+", SLOT.sub(" ", f"{good} {bad}").lower()))
    dealt: dict[tuple[str, str], dict[str, str]] = {}
    for name, number, _ in SLOT.findall(f"{good} {bad}"):
        if (name, number) not in dealt:
            dealt[name, number] = decks.deal(name, taken)
            taken |= set(dealt[name, number].values())
    good, bad = (SLOT.sub(lambda m: dealt[m[1], m[2] or ""][m[3] or ""], s) for s in (good, bad))
    return finish(good), finish(bad)


def finish(sentence: str) -> str:
    """Capitalise the first letter, and write "an" before a vowel."""
    sentence = ARTICLE.sub(r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:]


def pairs(frames: dict[str, Any], lexicon: Lexicon) -> Iterator[Pair]:
    """Yield the pairs of one phenomenon in the order of its file."""
    phenomenon = frames["phenomenon"]
    for paradigm, spec in frames["paradigms"].items():
        decks = Decks(lexicon, f"{phenomenon}/{paradigm}")
        number = 0
        for frame in spec["frames"]:
            for row in frame.get("rows") or [{}] * int(frame["n"]):
                number += 1
                good, bad = fill(templates(frame), row, decks)
                yield Pair(f"{phenomenon}/{paradigm}/{number:02d}", phenomenon, paradigm, good, bad)


def task_file(phenomenon: str) -> str:
    """Return the lm-eval task file of one phenomenon. The settings shared by all are in `_template_yaml`."""
    return (
        "# Generated by scripts/make_probes.py\n"
        "include: _template_yaml\n"
        f"task: l2t_probes_{phenomenon}\n"
        "dataset_kwargs:\n"
        f"  phenomenon: {phenomenon}\n"
    )


def group_file(phenomena: list[str]) -> str:
    """Return the file of the lm-eval group, whose accuracy is over all pairs."""
    tasks = "".join(f"  - l2t_probes_{phenomenon}\n" for phenomenon in phenomena)
    return (
        "# Generated by scripts/make_probes.py\n"
        f"group: l2t_probes\ntask:\n{tasks}"
        "aggregate_metric_list:\n  - metric: acc\n    aggregation: mean\n    weight_by_size: true\n"
        f"metadata:\n  version: {VERSION}\n"
    )


def phenomenon_section(frames: dict[str, Any], rows: list[Pair]) -> str:
    """Return the section of PHENOMENA.md on one phenomenon: a row per paradigm, with its first pair."""
    first = {pair.paradigm: pair for pair in reversed(rows)}
    lines = [
        f"| `{name}` | {spec['about']} | {first[name].good} | {first[name].bad} |\n"
        for name, spec in frames["paradigms"].items()
    ]
    head = "| paradigm | what it tests | good | bad |\n| --- | --- | --- | --- |\n"
    return f"\n## {frames['phenomenon']}\n\n{frames['about']}\n\n{head}{''.join(lines)}"


def suite_files() -> dict[str, str]:
    """Return all generated files of the suite as {path below `SUITE`: content}."""
    lexicon = read_lexicon(FRAMES / "lexicon.yaml")
    files, phenomena = {}, []
    guide = "# The phenomena and their paradigms\n\nGenerated by scripts/make_probes.py.\n"
    for path in sorted(FRAMES.glob("*.yaml")):
        if path.name == "lexicon.yaml":
            continue
        frames = read_yaml(path)
        phenomenon = frames["phenomenon"]
        phenomena.append(phenomenon)
        rows = list(pairs(frames, lexicon))
        guide += phenomenon_section(frames, rows)
        lines = [json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in rows]
        files[f"data/{phenomenon}.jsonl"] = "".join(lines)
        files[f"{phenomenon}.yaml"] = task_file(phenomenon)
    files["_l2t_probes.yaml"] = group_file(phenomena)
    files["PHENOMENA.md"] = guide
    return files


def main() -> int:
    """Write the files, or compare them with those on disk; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    stale = 0
    for name, text in suite_files().items():
        path = SUITE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{'differs' if check else 'written'}: {path}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
