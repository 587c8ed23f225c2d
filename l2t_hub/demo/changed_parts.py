"""Where the prompt of an example differs from its answer, for the tasks that change a text and ask for it back.

The block that a prompt was made from is not in a dataset, but the answer of these tasks is. The comparison takes time
linear in the texts, which may be a stranger's: `difflib` takes seconds for a text that repeats.
"""

import re
from collections.abc import Sequence

from l2t_hub.tasks.showcase import Span

RESTORED = ("masked_char", "typo", "space", "masked_word", "random", "shuffle", "deletion")
"""Tasks whose answer is the text before it was changed."""
BY_LETTER = ("masked_char", "typo")
"""Those that change letters: of a word that differs, only the changed part is marked."""
WITHIN = ("deletion", "last")
"""Tasks whose answer can be a part of the prompt."""
_WINDOW = 60
_MAX_FAILURES = 30
_WORD_LENGTH = 20
Spans = tuple[Span, ...]


def changed_parts(task: str, prompt: str, answer: str) -> tuple[Spans, Spans]:
    """Return the spans of the prompt that were put in, and those of the answer that were taken out.

    Both are empty for a task that changes nothing, and for texts that have too little in common.
    """
    part = answer.strip()
    if task in WITHIN and " " in part and 2 * len(part) < len(prompt) and part in prompt:
        start = prompt.index(part)
        return ((start, start + len(part)),), ()
    if task not in RESTORED:
        return (), ()
    if answer.replace(" ", "") == prompt:
        return (), tuple(match.span() for match in re.finditer(" +", answer))
    # A script without spaces has long runs; there, each character is a unit.
    spaced = len(answer) <= _WORD_LENGTH * (1 + len(answer.split()))
    old, new = (
        [m.span() for m in re.finditer(r"\S+" if spaced else r"\S", text)] for text in (answer, prompt)
    )
    old_words, new_words = [answer[a:b] for a, b in old], [prompt[a:b] for a, b in new]
    added, removed = [], []
    for i, j, k, n in _differences(old_words, new_words):
        in_word = task in BY_LETTER and (j - i, n - k) == (1, 1)
        skip, tail = _common(old_words[i], new_words[k]) if in_word else (0, 0)
        if i < j:
            removed.append((old[i][0] + skip, old[j - 1][1] - tail))
        if k < n:
            added.append((new[k][0] + skip, new[n - 1][1] - tail))
    return _kept(added), _kept(removed)


def _kept(spans: Sequence[Span]) -> Spans:
    return tuple((start, end) for start, end in spans if start < end)


def _common(a: str, b: str) -> tuple[int, int]:
    """Return how many characters two words have in common at their starts and ends."""
    most = min(len(a), len(b))
    start = next((n for n in range(most) if a[n] != b[n]), most)
    end = next((n for n in range(most - start) if a[-1 - n] != b[-1 - n]), most - start)
    return start, end


def _differences(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Return where two lists of words differ, as (start, end) in both. Empty if they have too little in common."""
    found: list[tuple[int, int, int, int]] = []
    i = j = failures = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            i, j = i + 1, j + 1
            continue
        step = _next_match(old, new, i, j)
        if step is None:
            failures += 1
            step = (1, 1)
        if failures > _MAX_FAILURES:
            return []
        if step[0] == step[1]:
            found += ((i + n, i + n + 1, j + n, j + n + 1) for n in range(step[0]))
        else:
            found.append((i, i + step[0], j, j + step[1]))
        i, j = i + step[0], j + step[1]
    if i < len(old) or j < len(new):
        found.append((i, len(old), j, len(new)))
    return found


def _next_match(old: Sequence[str], new: Sequence[str], i: int, j: int) -> tuple[int, int] | None:
    """Return how far to go in both lists until they agree again: one word in each, or the fewest in all."""
    if old[i + 1 : i + 2] == new[j + 1 : j + 2]:
        return 1, 1
    for distance in range(1, _WINDOW):
        for a in range(distance + 1):
            b = distance - a
            if old[i + a : i + a + 2] == new[j + b : j + b + 2] and i + a < len(old) and j + b < len(new):
                return a, b
    return None
