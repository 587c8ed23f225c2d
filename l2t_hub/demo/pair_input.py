"""What a visitor types in, checked: one sentence, a pair, or a list of pairs. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from l2t_hub.errors import UserError
from l2t_hub.text import counted

Pair = tuple[str, str]
Kind = Literal["pair", "pairs", "sentence"]

MAX_CHARACTERS = 1000
"""Of a sentence."""
MAX_PAIRS = 200
MAX_LIST_CHARACTERS = 2 * MAX_PAIRS * (MAX_CHARACTERS + 2)
CUT_WITHIN = 100
"""A sentence is cut at a space if one of its last characters is a space."""
NAMES = ("grammatical", "ungrammatical")


@dataclass(frozen=True)
class Question:
    """What the models are to read. Of pairs, the grammatical sentence comes before the ungrammatical one."""

    kind: Kind
    sentences: tuple[str, ...]
    notices: tuple[str, ...] = ()
    """What was changed about the input, a sentence each."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The sentences two by two."""
        return tuple(zip(self.sentences[::2], self.sentences[1::2], strict=True))


def pair_question(good: str | None, bad: str | None) -> Question:
    """Return a pair without surrounding whitespace, each sentence cut to `MAX_CHARACTERS`.

    Raises UserError if a sentence is empty, or if the two are equal.
    """
    notices: list[str] = []
    pair = []
    for sentence, name in zip((good, bad), NAMES, strict=True):
        kept = _cut(sentence, f"The {name} sentence", notices)
        if not kept:
            raise UserError(
                f"The {name} sentence is empty.", "Type both sentences of the pair, or pick an example."
            )
        pair.append(kept)
    if pair[0] == pair[1]:
        start = f"The first {MAX_CHARACTERS:,} characters of the" if notices else "The"
        raise UserError(
            f"{start} two sentences are the same.",
            "Change one of them: a minimal pair differs in one point of grammar.",
        )
    return Question("pair", tuple(pair), tuple(notices))


def sentence_question(text: str | None) -> Question:
    """Return a sentence without surrounding whitespace, cut to `MAX_CHARACTERS`. Raises UserError if it is empty."""
    notices: list[str] = []
    sentence = _cut(text, "The sentence", notices)
    if not sentence:
        raise UserError("The sentence is empty.", "Type a sentence.")
    return Question("sentence", (sentence,), tuple(notices))


def pairs_question(text: str | None) -> Question:
    """Return the pairs of a list: two lines each, or one line with a tab between the sentences.

    Raises UserError for an empty or too long list, and for a pair that is no pair; it names the line.
    """
    text = text or ""
    if len(text) > MAX_LIST_CHARACTERS:
        raise UserError(
            f"The list has {len(text):,} characters; the limit is {MAX_LIST_CHARACTERS:,}.", _OFFLINE
        )
    lines = [(n, line) for n, line in enumerate(_clean(text).split("\n"), start=1) if line.strip()]
    if not lines:
        raise UserError("The list is empty.", f"Type up to {MAX_PAIRS} pairs: {_FORM}")
    pairs = _by_tab(lines) if any("\t" in line.strip() for _, line in lines) else _by_line(lines)
    if len(pairs) > MAX_PAIRS:
        raise UserError(f"The list has {len(pairs):,} pairs; the limit is {MAX_PAIRS}.", _OFFLINE)
    return Question("pairs", tuple(s for number, pair in pairs for s in _checked(number, pair)))


_FORM = (
    "the grammatical sentence on one line and the ungrammatical one on the next, or both on one line with a tab "
    "between them."
)
_OFFLINE = "Shorten it, or score the pairs in a file with `l2t eval MODEL --pairs FILE`."


def _by_tab(lines: Sequence[tuple[int, str]]) -> list[tuple[int, Pair]]:
    pairs = []
    for number, line in lines:
        parts = line.split("\t")
        if len(parts) != 2:
            found = counted(len(parts) - 1, "tab")
            raise UserError(
                f"Line {number} has {found}; other lines have one tab between two sentences.",
                f"A list has {_FORM}",
            )
        pairs.append((number, (parts[0], parts[1])))
    return pairs


def _by_line(lines: Sequence[tuple[int, str]]) -> list[tuple[int, Pair]]:
    if len(lines) % 2:
        raise UserError(
            f"The list has {counted(len(lines), 'sentence')}, so the one on line {lines[-1][0]} has no partner.",
            f"A list has {_FORM}",
        )
    return [(number, (good, bad)) for (number, good), (_, bad) in zip(lines[::2], lines[1::2], strict=True)]


def _checked(number: int, pair: Pair) -> Pair:
    good, bad = (sentence.strip() for sentence in pair)
    for sentence, name in ((good, NAMES[0]), (bad, NAMES[1])):
        if not sentence:
            raise UserError(f"Line {number}: the {name} sentence is empty.", f"A list has {_FORM}")
        if len(sentence) > MAX_CHARACTERS:
            raise UserError(
                f"Line {number}: the {name} sentence has {len(sentence):,} characters; the limit is "
                f"{MAX_CHARACTERS:,}.",
                "Minimal pairs are short. Use single sentences.",
            )
    if good == bad:
        raise UserError(f"Line {number}: the two sentences of the pair are the same.", "Change one of them.")
    return good, bad


def _cut(text: str | None, name: str, notices: list[str]) -> str:
    """Return a text without surrounding whitespace, cut if it is too long, which is then noted."""
    sentence = _clean((text or "").strip())
    if len(sentence) <= MAX_CHARACTERS:
        return sentence
    kept = sentence[:MAX_CHARACTERS]
    space = max(kept.rfind(" ", MAX_CHARACTERS - CUT_WITHIN), kept.rfind("\n", MAX_CHARACTERS - CUT_WITHIN))
    kept = kept[:space].rstrip() if space > 0 and not sentence[MAX_CHARACTERS].isspace() else kept
    notices.append(f"{name} has {len(sentence):,} characters; its first {len(kept):,} were read.")
    return kept


def _clean(text: str) -> str:
    # Pasting can leave a lone surrogate (half an emoji), which tokenizers refuse.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
