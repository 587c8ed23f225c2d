"""Tokens with a read or a write role, and signatures for the URLs that clients call without a token.

Tokens and signing secret are random. They are created at the first start and kept in the Hub's directory, readable by
its owner only, so that clients keep working after a restart. Nothing here is ever logged.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import LOCAL_OWNER
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_directory import read_small, write_private

OWNER = LOCAL_OWNER
OUTSIDER = "outsider"
SIGNATURE_SECONDS = 6 * 3600
XET_TOKEN_SECONDS = 3600
_TOKEN = re.compile(r"hf_rehearsal_[a-z]+_[0-9a-f]{32}")
_SECRET = re.compile(r"[0-9a-f]{64}")
# huggingface_hub compares this header with this text to tell a wrong token from a missing repo.
_WRONG_TOKEN = "Invalid credentials in Authorization header"


@dataclass(frozen=True)
class TokenIdentity:
    """The user a token belongs to and its role, 'read' or 'write'."""

    user: str
    role: str

    @property
    def may_read_private(self) -> bool:
        """Whether the token can read private repos: every token of the owner can."""
        return self.user == OWNER

    @property
    def may_write(self) -> bool:
        """Whether the token can write: only a write token of the owner can."""
        return self.user == OWNER and self.role == "write"


@dataclass(frozen=True)
class XetGrant:
    """What a Xet access token allows: a role on one repo, named by its row number in the database."""

    role: str
    repo: int


class Keyring:
    """The tokens of one local Hub: `write` and `read` belong to its owner, `outsider` to a user without any rights.

    Raises UserError if the file at `path` is not what a local Hub wrote.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            tokens = {
                name: f"hf_rehearsal_{name}_{secrets.token_hex(16)}" for name in ("write", "read", "outsider")
            }
            write_private(path, json.dumps({**tokens, "secret": secrets.token_hex(32)}))
        stored = _load(path)
        self.write = stored["write"]
        self.read = stored["read"]
        self.outsider = stored["outsider"]
        self._secret = bytes.fromhex(stored["secret"])
        self._known: dict[str, tuple[TokenIdentity, float | None]] = {}
        self._remember(self.write, TokenIdentity(OWNER, "write"), None)
        self._remember(self.read, TokenIdentity(OWNER, "read"), None)
        self._remember(self.outsider, TokenIdentity(OUTSIDER, "write"), None)

    def mint(self, role: str = "write", user: str = OWNER, seconds: float | None = None) -> str:
        """Create a token that is valid until this process ends, or for `seconds`; a negative number has passed."""
        token = f"hf_rehearsal_minted_{secrets.token_hex(16)}"
        self._remember(token, TokenIdentity(user, role), None if seconds is None else time.time() + seconds)
        return token

    def _remember(self, token: str, identity: TokenIdentity, expires: float | None) -> None:
        self._known[_digest(token)] = (identity, expires)

    def identify(self, authorization: str | None, *, password: bool = False) -> TokenIdentity | None:
        """Return the identity behind an Authorization header, None without one. 401 for a wrong or expired token.

        With `password`, the user name and password of a browser are accepted too; the password is the token.
        """
        if not authorization:
            return None
        scheme, _, value = authorization.partition(" ")
        token = value.strip() if scheme.lower() == "bearer" else None
        if scheme.lower() == "basic" and password:
            token = _basic_password(value)
        identity, expires = self._known.get(_digest(token or ""), (None, None))
        if identity is None or (expires is not None and expires < time.time()):
            raise HubError(401, _WRONG_TOKEN, headers={"X-Error-Message": _WRONG_TOKEN})
        return identity

    # -- signed URLs: the signature covers the whole path, so no part of it can be changed ------------------------

    def signed(self, path: str) -> str:
        """Return `path` with an expiry time and a signature as its query."""
        expires = int(time.time()) + SIGNATURE_SECONDS
        return f"{path}?expires={expires}&signature={self._signature('url', path, expires)}"

    def check_signature(self, path: str, expires: str | None, signature: str | None) -> None:
        """Raise HubError 403 unless this Hub signed `path` and the signature has not expired."""
        if not (expires and signature and re.fullmatch(r"[0-9]{1,11}", expires)):
            raise HubError(403, "This URL needs a signature.")
        if not hmac.compare_digest(signature.encode(), self._signature("url", path, int(expires)).encode()):
            raise HubError(403, "The signature of this URL is wrong.")
        if int(expires) < time.time():
            raise HubError(403, "The signature of this URL has expired. Request a new URL.")

    def xet_token(self, role: str, repo: int) -> tuple[str, int]:
        """Return a token for the Xet store and the Unix time at which it expires."""
        expires = int(time.time()) + XET_TOKEN_SECONDS
        signature = self._signature("xet", f"{role}.{repo}", expires)
        return f"xet_rehearsal.{role}.{repo}.{expires}.{signature}", expires

    def xet_grant(self, authorization: str | None) -> XetGrant:
        """Return what a Xet token allows. Raises HubError 401 if it is missing, wrong or expired."""
        match = re.fullmatch(
            r"Bearer xet_rehearsal\.(read|write)\.([0-9]{1,18})\.([0-9]{1,11})\.([0-9a-f]{64})",
            authorization or "",
        )
        if match:
            role, repo, expires = match[1], int(match[2]), int(match[3])
            genuine = self._signature("xet", f"{role}.{repo}", expires)
            if hmac.compare_digest(match[4], genuine) and expires >= time.time():
                return XetGrant(role, repo)
        raise HubError(401, "The Xet store needs a valid Xet access token.")

    def _signature(self, purpose: str, subject: str, expires: int) -> str:
        text = f"{purpose}\n{subject}\n{expires}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _load(path: Path) -> dict[str, str]:
    try:
        stored = json.loads(read_small(path))
        tokens = [stored[name] for name in ("write", "read", "outsider")]
        valid = all(_TOKEN.fullmatch(token) for token in tokens) and len(set(tokens)) == 3
        valid = valid and _SECRET.fullmatch(stored["secret"]) is not None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise UserError(
            f"{path}: this is not the token file of a local Hub",
            "Delete it: the local Hub creates new tokens when it starts.",
        )
    result: dict[str, str] = stored
    return result


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _basic_password(value: str) -> str | None:
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except (Base64Error, ValueError):
        return None
