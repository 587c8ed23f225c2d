"""The names repositories have, checked before anything is made or sent under them."""

import re

from l2t_hub.errors import UsageError

# The Hub's rule for a namespace and for a name.
_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


def check_repo(repo: str, what: str = "repo") -> str:
    """Give a repository's name back if it is one (`namespace/name`); UsageError otherwise."""
    parts = repo.split("/")
    good = len(parts) == 2 and all(_WORD.fullmatch(p) and "--" not in p and ".." not in p for p in parts)
    if not good or repo.endswith((".git", ".ipynb")):
        raise UsageError(
            f"{what} {repo}: not the name of a repo",
            "It is ORG/NAME: letters, digits, '-', '_' and '.', at most 96 each, without '--' or '..'.",
        )
    return repo
