"""The text of a card: what `l2t` wrote, the section that is the owner's, and whether the rest was edited.

A card ends with a line that holds the SHA-256 of the card without the owner's text. So the owner may write in that
section at any time, and a change anywhere else is noticed before the card is written again.
"""

import re
from hashlib import sha256
from typing import Literal

BEGIN = "<!-- l2t: write your own text below this line; it is kept when the card is written again -->"
END = "<!-- l2t: your own text ends above this line -->"
_SECTION = re.compile(rf"^{re.escape(BEGIN)}\n(.*?)^{re.escape(END)}$", re.MULTILINE | re.DOTALL)
_SEAL = re.compile(
    r"^<!-- l2t: SHA-256 of this card without your own text: ([0-9a-f]{64}) -->\n\Z", re.MULTILINE
)

State = Literal["written", "edited", "foreign"]
"""As `l2t` wrote it (the owner's section aside), edited outside that section, or not a card that `l2t` wrote."""


def owner_text(card: str) -> str:
    """Return the owner's text, without blank lines around it; "" if there is none."""
    found = _SECTION.search(card)
    return found[1].strip() if found else ""


def without_owner_text(card: str) -> str:
    """Return the card with an empty section for the owner."""
    return _SECTION.sub(lambda _: f"{BEGIN}\n\n{END}", card, count=1)


def card_digest(content: bytes) -> str:
    """Return the SHA-256 of a card without the owner's text, as 64 hex digits."""
    try:
        return sha256(without_owner_text(content.decode()).encode()).hexdigest()
    except UnicodeDecodeError:
        return sha256(content).hexdigest()


def finished_card(text: str, own: str) -> str:
    """Return a rendered card with its last line, and with the owner's text in its section."""
    text = text.rstrip("\n") + "\n\n"
    line = f"<!-- l2t: SHA-256 of this card without your own text: {sha256(text.encode()).hexdigest()} -->\n"
    section = f"{BEGIN}\n\n{own}\n\n{END}" if own else f"{BEGIN}\n\n{END}"
    return _SECTION.sub(lambda _: section, text, count=1) + line


def card_state(card: str) -> State:
    """Return whether `l2t` wrote the card and whether it was edited since, the owner's section aside."""
    plain = without_owner_text(card)
    seal = _SEAL.search(plain)
    if seal is None:
        return "edited" if _SECTION.search(card) else "foreign"
    return "written" if sha256(plain[: seal.start()].encode()).hexdigest() == seal[1] else "edited"
