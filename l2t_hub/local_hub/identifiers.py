"""Every name that comes in over the wire is checked here, once: repos, paths, refs, hashes.

What passes can be used as a key, shown on a page (escaped) and joined to a URL; nothing that comes from a client is
ever part of a path on this machine's disk except a hash that matched the patterns below.
"""

import re

from l2t_hub.local_hub.http_errors import HubError

KINDS = ("model", "dataset", "space")
URL_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}
# First path segments that mean something else: no namespace may take them.
RESERVED = frozenset(
    {
        "api",
        "models",
        "datasets",
        "spaces",
        "collections",
        "static",
        "lfs",
        "xet",
        "organizations",
        "settings",
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
_PULL = re.compile(r"refs/pr/([1-9][0-9]{0,8})")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def repo_word(text: object, what: str) -> str:
    """A namespace or a repo name, by the real Hub's rules: at most 96 letters, digits, `-`, `_` and `.`."""
    if not isinstance(text, str) or not _REPO_WORD.fullmatch(text) or "--" in text or ".." in text:
        raise HubError(
            400, f"Invalid {what}: use letters, digits, '-', '_' and '.', at most 96, no '--' or '..'"
        )
    if text.endswith((".git", ".ipynb")):
        raise HubError(400, f"Invalid {what}: it cannot end in .git or .ipynb")
    if what == "namespace" and text.lower() in RESERVED:
        raise HubError(400, f"Invalid namespace: '{text}' is reserved")
    return text


def kind_of(text: object) -> str:
    """'model', 'dataset' or 'space'; None means a model, as the clients mean it."""
    if text is None:
        return "model"
    if text not in KINDS:
        raise HubError(400, f"Invalid repo type: one of {', '.join(KINDS)}")
    return str(text)


def repo_path(text: object) -> str:
    """A file's or folder's path in a repo, as git would take it; 400 for anything that could leave the repo."""
    if not isinstance(text, str) or not text:
        raise HubError(400, "Invalid path: it is empty")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise HubError(400, "Invalid path: it is not Unicode text") from None
    if len(raw) > MAX_PATH_BYTES:
        raise HubError(400, f"Invalid path: longer than {MAX_PATH_BYTES} bytes")
    if any(ord(c) < 32 or ord(c) == 127 for c in text) or "\\" in text:
        raise HubError(400, "Invalid path: control characters and backslashes are not allowed")
    for segment in text.split("/"):
        if segment in ("", ".", ".."):
            raise HubError(400, "Invalid path: it must be relative, without empty, '.' or '..' parts")
        if segment.lower() == ".git":
            raise HubError(400, "Invalid path: nothing may be written below .git")
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise HubError(400, f"Invalid path: a name longer than {MAX_SEGMENT_BYTES} bytes")
    return text


def folder_path(text: str) -> str:
    """A folder's path, '' for the root; one slash at its end is forgiven."""
    return repo_path(text.removesuffix("/")) if text not in ("", "/") else ""


def sha256_hex(text: object) -> str:
    """A sha256 in lower-case hex; this is the only thing from a client that names a file on disk."""
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise HubError(400, "Invalid oid: 64 lower-case hexadecimal digits are needed")
    return text


def ref_word(text: object, what: str) -> str:
    """A branch or tag name that git would accept and that cannot be mistaken for a commit or a `refs/` path."""
    if not isinstance(text, str) or len(text) > MAX_REF_CHARS or not _REF.fullmatch(text):
        raise HubError(400, f"Invalid {what} name")
    bad_part = any(
        p in ("", ".", "..") or p.startswith(".") or p.endswith((".", ".lock")) for p in text.split("/")
    )
    if bad_part or ".." in text or text.startswith("refs/") or re.fullmatch(r"[0-9a-f]{40}", text):
        raise HubError(400, f"Invalid reference for a {what}: {text}")
    return text


def looks_like_commit(text: str) -> bool:
    """Whether `text` may be a commit id or its first seven or more digits."""
    return bool(_COMMIT.fullmatch(text))


def pull_number(revision: str) -> int | None:
    """N of `refs/pr/N`, None for any other revision."""
    match = _PULL.fullmatch(revision)
    return int(match[1]) if match else None


def object_id(text: str) -> str:
    """The id of a collection item: 24 hexadecimal digits."""
    if not _OBJECT_ID.fullmatch(text):
        raise HubError(404, "No such item")
    return text


def line_of_text(text: object, what: str, limit: int) -> str:
    """A title or summary: one non-empty string of at most `limit` characters."""
    if not isinstance(text, str) or not text.strip():
        raise HubError(400, f"{what} is needed")
    if len(text) > limit:
        raise HubError(400, f"{what} is longer than {limit} characters")
    return text.strip()
