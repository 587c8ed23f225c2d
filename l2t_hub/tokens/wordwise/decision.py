"""Decide from a tokenizer's definition (`tokenizer.json`) whether its texts can be encoded word by word.

A text is cut before each space that follows a non-blank character, and before newlines and signs where that is
equally safe. Encoding the pieces one by one and joining the ids gives the ids of the whole text if every step of the
tokenizer treats the two sides of such a cut independently. Each rule below covers one step for which this holds. A
step without a rule makes the answer "no", and the library encodes whole texts. What a rule cannot decide for all
texts (an added token in the text, a word that ends in a blank once normalised) is left to `encode.py`, which checks
each new word once.
"""

import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from l2t_hub.tokens.wordwise.pieces import BLANKS_ONLY, Cuts

MARK = "\u2581"
"""The character that SentencePiece-style tokenizers use for a space."""

Step = Mapping[str, Any]

# Normalisers that map each character by itself, or (the Unicode forms) never look across a U+0020: it is a
# starter, and no composition takes it as its second part (UAX #15, section 9.1, "stable concatenation").
_LOCAL_NORMALIZERS = frozenset(
    {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer", "Nmt"}
)

# Pre-tokenizers that cut at every blank, whatever surrounds it.
_CUT_AT_BLANKS = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})

_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SUFFIX = f"(?i:{'|'.join(_CONTRACTIONS)})?"

# Alternatives of the byte-level families' regular expressions. Each can match a U+0020 only before its first
# non-blank character, so no match runs across a cut. The one look-ahead, (?!\S), reads one character to the
# right of blanks only, and a cut never separates these.
_ALTERNATIVES = frozenset(
    [
        *_CONTRACTIONS,
        f"(?i:{'|'.join(_CONTRACTIONS)})",
        "'(?i:[sdmt]|ll|ve|re)",
        "'(?:[sdmt]|ll|ve|re)",
        r" ?\p{L}+",
        r" ?\p{N}+",
        r" ?[^\s\p{L}\p{N}]+",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
        r" ?[\p{P}\p{S}]+[\r\n]*",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"[^\r\n\p{L}\p{N}]?+\p{L}+",
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
        r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+",
        r"[^\r\n\p{L}\p{N}]?" + f"{_UPPER}*{_LOWER}+",
        r"[^\r\n\p{L}\p{N}]?" + f"{_UPPER}+{_LOWER}*",
        r"[^\r\n\p{L}\p{N}]?" + f"{_UPPER}*{_LOWER}+{_SUFFIX}",
        r"[^\r\n\p{L}\p{N}]?" + f"{_UPPER}+{_LOWER}*{_SUFFIX}",
        r"\p{N}",
        r"\p{N}+",
        r"\p{N}{1,3}",
        r"\d",
        r"\d+",
        r"\d{1,3}",
        r"[0-9]",
        r"[0-9]+",
        r"[一-龥぀-ゟ゠-ヿ]+",
        r"\s*[\r\n]",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

# The alternatives that match every run of ASCII letters.
_LETTER_RUNS = frozenset(
    [
        r" ?\p{L}+",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"[^\r\n\p{L}\p{N}]?+\p{L}+",
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
        r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+",
    ]
)

# The signs that follow words. No tokenizer treats them as letters, digits or blanks, nor does any normaliser
# above turn them into such.
_SIGNS = f"{string.punctuation}\u2013\u2014\u2018\u2019\u201c\u201d\u2026"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether words can be encoded alone, and what must still be checked word by word.

    `reason`: one sentence for people. `closed`: a word that ends in a blank must not be followed by another word (the
    cut would be inside a run of blanks). `mark`: one more character that counts as a blank there. `spanning`: added
    tokens with a space; a text that contains one is encoded whole. `cuts`: where else a text may be cut. `inner`: the
    definition for all pieces of a text but the first, if it differs from the tokenizer's own (no prefix).
    """

    safe: bool
    reason: str
    closed: bool = True
    mark: str | None = None
    spanning: tuple[str, ...] = ()
    cuts: Cuts = BLANKS_ONLY
    inner: str | None = None


class _UnsafeError(Exception):
    """The tokenizer has a step without a rule."""


def decide(tokenizer: dict[str, Any]) -> Decision:
    """Decide for a tokenizer, given its definition (the content of `tokenizer.json`).

    Never raises: an unknown step is unsafe.
    """
    normalizers = list(_flatten(tokenizer["normalizer"], "normalizers"))
    pre_tokenizers = list(_flatten(tokenizer["pre_tokenizer"], "pretokenizers"))
    model = tokenizer["model"]
    try:
        mark = _check_normalizers(normalizers)
        cuts, mark = _check_pre_tokenizers(pre_tokenizers, mark)
        if model.get("dropout"):
            raise _UnsafeError("the model drops merges at random")
        if cuts == "none":
            _check_model(model, mark)
        spanning = _check_added_tokens(tokenizer["added_tokens"], bool(normalizers))
    except _UnsafeError as error:
        return Decision(safe=False, reason=f"whole texts are encoded by the library: {error}")
    paragraphs = _cuts_at_paragraphs(cuts, pre_tokenizers, model) and not any(
        "\n" in token["content"] for token in tokenizer["added_tokens"]
    )
    signs = _signs(pre_tokenizers, tokenizer["added_tokens"]) if cuts == "words" else ""
    inner = _without_prefix(tokenizer, normalizers, pre_tokenizers if paragraphs or signs else [])
    why = "the model has no token across a space" if cuts == "none" else "its pre-tokenizer cuts there"
    return Decision(
        safe=True,
        reason=f"words are encoded alone and cached: no token crosses a space that follows a word, since {why}",
        closed=cuts != "blanks" or inner is not None,
        mark=mark if cuts == "none" else None,
        spanning=spanning,
        cuts=Cuts(paragraphs, signs),
        inner=inner,
    )


def _flatten(step: Step | None, key: str) -> Iterator[Step]:
    """Yield the steps of a possibly nested `Sequence`, in order."""
    if step is None:
        return
    if step["type"] == "Sequence":
        for part in step[key]:
            yield from _flatten(part, key)
    else:
        yield step


def _check_normalizers(steps: list[Step]) -> str | None:
    """Return the character that replaces a space in the normalised text (None: the space remains).

    Raises _UnsafeError for a normaliser without a rule.
    """
    mark: str | None = None
    for step in steps:
        kind = step["type"]
        if kind == "Prepend" and step["prepend"] == MARK and mark is None:
            continue
        if (
            kind == "Replace"
            and step["pattern"] == {"String": " "}
            and step["content"] == MARK
            and mark is None
        ):
            mark = MARK
            continue
        if kind not in _LOCAL_NORMALIZERS:
            raise _UnsafeError(f"its normaliser {kind} may look across a space")
    return mark


def _check_pre_tokenizers(steps: list[Step], mark: str | None) -> tuple[str, str | None]:
    """Return where the steps cut, and the character that a space has become by then.

    "blanks": at every space. "words": at least before each space that follows a word. "none": not reliably. Steps
    after the first that cuts are not checked, because they see the same pieces either way.
    """
    searched = False
    for step in steps:
        if step["type"] == "Split" and step["pattern"] == {"String": " "} and mark is not None:
            continue  # it finds nothing: no spaces are left
        if mark is not None and step["type"] != "Metaspace":
            raise _UnsafeError(f"its pre-tokenizer {step['type']} sees spaces already replaced")
        cuts = _cuts(step)
        mark = MARK if step["type"] == "Metaspace" else mark
        if cuts != "none":
            return ("words" if searched else cuts), mark
        if step["type"] == "ByteLevel":
            raise _UnsafeError("its byte-level pre-tokenizer replaces spaces without cutting at them")
        searched = searched or step["type"] == "Split"
    return "none", mark


def _cuts(step: Step) -> str:
    """Return where one pre-tokenizer cuts: "blanks", "words" or "none", as in `_check_pre_tokenizers`."""
    kind = step["type"]
    if kind in _CUT_AT_BLANKS or (kind == "CharDelimiterSplit" and step["delimiter"] == " "):
        return "blanks"
    if kind == "Metaspace" and step["replacement"] == MARK:
        return "blanks" if step.get("split", True) else "none"
    if kind == "ByteLevel":
        return "words" if step.get("use_regex", True) else "none"
    if kind == "Digits" or (
        kind == "Punctuation" and step["behavior"] in ("Isolated", "Removed", "Contiguous")
    ):
        return "none"
    if kind == "Split":
        return _split_cuts(step)
    raise _UnsafeError(f"its pre-tokenizer {kind} may look across a space")


def _split_cuts(step: Step) -> str:
    """Return where a `Split` cuts, on a single space or on a regular expression made of known alternatives."""
    pattern, behavior, invert = step["pattern"], step["behavior"], step["invert"]
    if pattern == {"String": " "} and not invert and behavior in ("Isolated", "Removed", "MergedWithNext"):
        return "blanks"
    if "Regex" not in pattern or (behavior, invert) not in (
        ("Isolated", False),
        ("Isolated", True),
        ("Removed", True),
    ):
        raise _UnsafeError("its pre-tokenizer Split is of a kind not known to cut at spaces")
    alternatives = list(_alternatives(pattern["Regex"]))
    unknown = [part for part in alternatives if part not in _ALTERNATIVES]
    if unknown:
        raise _UnsafeError(f"its pre-tokenizer's regular expression has an unknown part: {unknown[0]}")
    if r"\s+" in alternatives:
        return "words"
    if invert:
        raise _UnsafeError("its pre-tokenizer's regular expression removes text that it does not match")
    return "none"


def _alternatives(regex: str) -> Iterator[str]:
    """Yield the top-level alternatives of a regular expression."""
    part, depth, bracket, escaped = "", 0, False, False
    for character in regex:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif bracket:
            bracket = character != "]"
        elif character == "[":
            bracket = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            yield part
            part = ""
            continue
        part += character
    yield part


def _check_model(model: Step, mark: str | None) -> None:
    """Check a model that receives the text in one piece: it must be a BPE that never merges a word's end and a space.

    Merges apply to neighbouring symbols, lowest rank first. If no merge has a space after another character in its
    result, no merge touches both sides of a cut, and the sides cannot influence each other.
    """
    if model["type"] != "BPE" or mark is None:
        raise _UnsafeError("nothing cuts the text at spaces before the model")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise _UnsafeError("the model marks the ends of a text")
    if mark not in model["vocab"]:
        raise _UnsafeError("the model has no token for a space")
    tokens = model["vocab"] if model.get("ignore_merges") else _products(model)
    crossing = next((token for token in tokens if mark in token.lstrip(mark)), None)
    if crossing is not None:
        raise _UnsafeError(f"the model has a token across a space: {crossing!r}")


def _products(model: Step) -> Iterator[str]:
    """Yield the results of a BPE's merges."""
    return ("".join(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"])


def _check_added_tokens(tokens: list[Step], normalised: bool) -> tuple[str, ...]:
    """Return the added tokens with a space, except those that contain another of them.

    An added token without a space is inside one word and is found there (`encode.py`). A token with a blank or mark
    that is matched in the normalised text is unsafe.
    """
    spanning: list[str] = []
    for token in sorted(tokens, key=lambda t: len(t["content"])):
        content = token["content"]
        if content.isascii() and content.isprintable() and " " not in content:
            continue
        if normalised and token["normalized"]:
            raise _UnsafeError(f"its added token {content!r} is matched in the normalised text")
        if " " in content and not any(other in content for other in spanning):
            spanning.append(content)
    if " " in spanning:
        raise _UnsafeError("a single space is an added token")
    return tuple(spanning)


def _cuts_at_paragraphs(cuts: str, pre_tokenizers: list[Step], model: Step) -> bool:
    """Whether cutting before a newline that follows a non-blank is as safe as cutting before a space there.

    It is not if a regular expression matches newlines together with the punctuation before them, or if the model has
    a token with a newline after another character (or cannot tell a newline from other unknown bytes).
    """
    if cuts == "blanks":
        return pre_tokenizers[0]["type"] in _CUT_AT_BLANKS
    if cuts == "words":
        splits = [step for step in pre_tokenizers if step["type"] == "Split"]
        alternatives = [part for step in splits for part in _alternatives(step["pattern"].get("Regex", ""))]
        return not any(part.endswith(("[\\r\\n]*", "[\\r\\n/]*")) for part in alternatives)
    newline = "\n" if "\n" in model["vocab"] else "<0x0A>"
    if newline not in model["vocab"] or not (newline == "\n" or model.get("byte_fallback")):
        return False
    tokens = model["vocab"] if model.get("ignore_merges") else _products(model)
    return not any(newline in token.lstrip("\n") and token != newline for token in tokens)


def _signs(pre_tokenizers: list[Step], added_tokens: list[Step]) -> str:
    """Return the signs before which a text may be cut if they follow an ASCII letter; "" for unknown first steps.

    The letter ends a match of the first step's regular expression: one of its alternatives matches letters, and none
    matches a sign after a letter. So a match starts at the sign, and no look-ahead reads past it. Every allowed
    normaliser keeps ASCII letters letters and signs signs, and composes neither with the other (both are starters
    that UAX #15 calls stable). A sign that follows a letter in an added token is left out, so that no added token is
    cut.
    """
    first = pre_tokenizers[0]
    if first["type"] == "Split" and "Regex" in first["pattern"]:
        alternatives = set(_alternatives(first["pattern"]["Regex"]))
        if not alternatives & _LETTER_RUNS or any(part.endswith(_SUFFIX) for part in alternatives):
            return ""
    elif first["type"] != "ByteLevel":
        return ""
    contents = [token["content"] for token in added_tokens]
    taken = {b for text in contents for a, b in pairwise(text) if a.isascii() and a.isalpha()}
    return "".join(sign for sign in _SIGNS if sign not in taken)


def _without_prefix(
    tokenizer: dict[str, Any], normalizers: list[Step], pre_tokenizers: list[Step]
) -> str | None:
    """Return the definition without the prefix that only the start of a text gets; None if there is no such prefix.

    The prefix is a `Prepend` normaliser, or that of the first of `pre_tokenizers`. The other pre-tokenizers, and the
    first one before a word that starts with a space, add a prefix to every word alike.
    """
    kept = [step for step in normalizers if step["type"] != "Prepend"]
    changes: dict[str, Any] = {}
    if len(kept) < len(normalizers):
        changes["normalizer"] = {"type": "Sequence", "normalizers": kept} if kept else None
    plain: dict[str, dict[str, Any]] = {
        "Metaspace": {"prepend_scheme": "never"},
        "ByteLevel": {"add_prefix_space": False},
    }
    if pre_tokenizers and pre_tokenizers[0]["type"] in plain:
        first = {**pre_tokenizers[0], **plain[pre_tokenizers[0]["type"]]}
        if first != pre_tokenizers[0]:
            changes["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [first, *pre_tokenizers[1:]]}
    return json.dumps({**tokenizer, **changes}, ensure_ascii=False) if changes else None
