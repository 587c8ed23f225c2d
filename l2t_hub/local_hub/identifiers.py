"""Checks of every name a client sends: repos, paths, branches, tags, hashes.

A name that passes is safe as a database key, in a URL and, escaped, on a page. Only a hash that matches one of the
patterns below ever becomes part of a path on this machine's disk.
"""

import re

from l2t_hub.local_hub.http_errors import HubError

KINDS = ("model", "dataset", "space")
URL_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}
# First path segments with a meaning of their own: no namespace may have these names.
RESERVED = frozenset(
    {
        "api",
        "collections",
        "datasets",
        "lfs",
        "models",
        "organizations",
        "settings",
        "spaces",
        "static",
        "xet",
    }
)

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
MAX_REF_CHARS = 200
MAX_TITLE_CHARS = 200

_REPO_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]*")
_PULL_REQUEST = re.compile(r"refs/pr/([1-9][0-9]{0,8})")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def namespace(text: object) -> str:
    """Check a user or organisation name by the rules of huggingface.co and return it."""
    name = _repo_word(text, "namespace")
    if name.lower() in RESERVED:
        raise HubError(400, f"Invalid namespace: '{name}' is reserved.")
    return name


def repo_name(text: object) -> str:
    """Check a repo name without its namespace by the rules of huggingface.co and return it."""
    return _repo_word(text, "repo name")


def _repo_word(text: object, what: str) -> str:
    if not isinstance(text, str) or not _REPO_WORD.fullmatch(text) or "--" in text or ".." in text:
        raise HubError(
            400, f"Invalid {what}: use at most 96 letters, digits, '-', '_' and '.', without '--' and '..'."
        )
    if text.endswith((".git", ".ipynb")):
        raise HubError(400, f"Invalid {what}: it must not end in .git or .ipynb.")
    return text


def repo_kind(text: object) -> str:
    """Return 'model', 'dataset' or 'space'. Clients leave the type of a model out."""
    if text is None:
        return "model"
    if not isinstance(text, str) or text not in KINDS:
        raise HubError(400, f"Invalid repo type: use one of {', '.join(KINDS)}.")
    return text


def file_path(text: object) -> str:
    """Check the path of a file or folder in a repo by git's rules and return it. 400 if it could leave the repo."""
    if not isinstance(text, str) or not text:
        raise HubError(400, "Invalid path: it is empty.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise HubError(400, "Invalid path: it is not Unicode text.") from None
    if size > MAX_PATH_BYTES:
        raise HubError(400, f"Invalid path: it is longer than {MAX_PATH_BYTES} bytes.")
    if any(ord(c) < 32 or ord(c) == 127 for c in text) or "\\" in text:
        raise HubError(400, "Invalid path: control characters and backslashes are not allowed.")
    for segment in text.split("/"):
        if segment in ("", ".", ".."):
            raise HubError(400, "Invalid path: use a relative path without empty, '.' or '..' segments.")
        if segment.lower() == ".git":
            raise HubError(400, "Invalid path: it must not contain .git.")
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise HubError(400, f"Invalid path: a segment is longer than {MAX_SEGMENT_BYTES} bytes.")
    return text


def folder_path(text: str) -> str:
    """Check the path of a folder and return it without a trailing slash; '' is the root."""
    return file_path(text.removesuffix("/")) if text not in ("", "/") else ""


def sha256_hex(text: object) -> str:
    """Check a SHA-256 in lower-case hex and return it."""
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise HubError(400, "Invalid oid: it must have 64 lower-case hexadecimal digits.")
    return text


def ref_name(text: object, what: str) -> str:
    """Check the name of a branch or tag and return it. It cannot be mistaken for a commit or a `refs/` path."""
    if not isinstance(text, str) or len(text) > MAX_REF_CHARS or not _REF.fullmatch(text):
        raise HubError(400, f"Invalid {what} name.")
    bad_part = any(
        p in ("", ".", "..") or p.startswith(".") or p.endswith((".", ".lock")) for p in text.split("/")
    )
    if bad_part or ".." in text or text.startswith("refs/") or re.fullmatch(r"[0-9a-f]{40}", text):
        raise HubError(400, f"Invalid reference for a {what}: {text}")
    return text


def looks_like_commit(text: str) -> bool:
    """Whether `text` has the form of a commit ID, or of at least its first seven digits."""
    return bool(_COMMIT.fullmatch(text))


def pull_request_number(revision: str) -> int | None:
    """Return N of `refs/pr/N`, None for any other revision."""
    match = _PULL_REQUEST.fullmatch(revision)
    return int(match[1]) if match else None


def object_id(text: str) -> str:
    """Check the ID of a collection item, 24 hexadecimal digits, and return it."""
    if not _OBJECT_ID.fullmatch(text):
        raise HubError(404, "The collection has no such item.")
    return text


def required_text(text: object, what: str, limit: int) -> str:
    """Check a title, summary or comment of 1 to `limit` characters and return it without surrounding space."""
    if not isinstance(text, str) or not text.strip():
        raise HubError(400, f"{what} is missing.")
    if len(text) > limit:
        raise HubError(400, f"{what} is longer than {limit} characters.")
    return text.strip()
