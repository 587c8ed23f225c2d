"""Who may do what: random tokens with a read or a write role, and signatures for the URLs that carry no token.

The tokens and the signing secret are made at the first start and kept in the Hub's folder, readable by its owner
only, so that a client survives a restart of the server. Nothing here is ever logged.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.local_hub.http_errors import HubError

OWNER = "rehearsal"
OUTSIDER = "outsider"
SIGNATURE_SECONDS = 6 * 3600
XET_TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class TokenIdentity:
    """Whose token it is and its role, 'read' or 'write'. Only the owner sees private repos and may write."""

    user: str
    role: str

    @property
    def may_read_private(self) -> bool:
        """The owner's tokens reach private repos, whatever their role."""
        return self.user == OWNER

    @property
    def may_write(self) -> bool:
        """A write token of the owner."""
        return self.user == OWNER and self.role == "write"


@dataclass(frozen=True)
class XetGrant:
    """What a Xet access token allows: a role on one repo (its number in the database)."""

    role: str
    repo: int


class Keyring:
    """The tokens of one embedded Hub: `write` and `read` belong to its owner, `outsider` to somebody else."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            fresh = {
                name: f"hf_rehearsal_{name}_{secrets.token_hex(16)}" for name in ("write", "read", "outsider")
            }
            _write_private(path, json.dumps({**fresh, "secret": secrets.token_hex(32)}))
        kept = json.loads(path.read_text(encoding="utf-8"))
        self.write: str = kept["write"]
        self.read: str = kept["read"]
        self.outsider: str = kept["outsider"]
        self._secret = bytes.fromhex(kept["secret"])
        self._known: dict[str, tuple[TokenIdentity, float | None]] = {}
        self._remember(self.write, TokenIdentity(OWNER, "write"), None)
        self._remember(self.read, TokenIdentity(OWNER, "read"), None)
        self._remember(self.outsider, TokenIdentity(OUTSIDER, "write"), None)

    def mint(self, role: str = "write", user: str = OWNER, seconds: float | None = None) -> str:
        """A further token for this process's life; `seconds` until it expires (negative: it has expired)."""
        token = f"hf_rehearsal_minted_{secrets.token_hex(16)}"
        self._remember(token, TokenIdentity(user, role), None if seconds is None else time.time() + seconds)
        return token

    def _remember(self, token: str, who: TokenIdentity, expires: float | None) -> None:
        self._known[_digest(token)] = (who, expires)

    def identify(self, authorization: str | None, *, password: bool = False) -> TokenIdentity | None:
        """The identity behind an Authorization header, None without one; 401 for a token that is wrong or expired.

        With `password`, a browser's user and password are accepted too, the password being the token.
        """
        if not authorization:
            return None
        scheme, _, value = authorization.partition(" ")
        token = value.strip() if scheme.lower() == "bearer" else None
        if scheme.lower() == "basic" and password:
            token = _basic_password(value)
        who, expires = self._known.get(_digest(token or ""), (None, None))
        if who is None or (expires is not None and expires < time.time()):
            message = "Invalid credentials in Authorization header"
            raise HubError(401, message, headers={"X-Error-Message": message})
        return who

    # -- signed URLs: what is signed is the whole path, so every part of it is covered --------------------------

    def signed(self, path: str) -> str:
        """`path` with an expiry and a signature as its query."""
        expires = int(time.time()) + SIGNATURE_SECONDS
        return f"{path}?expires={expires}&signature={self._signature('url', path, expires)}"

    def check_signature(self, path: str, expires: str | None, signature: str | None) -> None:
        """403 unless `path` was signed here and the time has not run out."""
        if not (expires and signature and expires.isdecimal() and len(expires) < 12):
            raise HubError(403, "This URL must be signed")
        if not hmac.compare_digest(signature.encode(), self._signature("url", path, int(expires)).encode()):
            raise HubError(403, "The signature does not fit this URL")
        if int(expires) < time.time():
            raise HubError(403, "The signature of this URL has expired: ask for a new one")

    def xet_token(self, role: str, repo: int) -> tuple[str, int]:
        """A token for the Xet store and the Unix time at which it expires."""
        expires = int(time.time()) + XET_TOKEN_SECONDS
        return (
            f"xet_rehearsal.{role}.{repo}.{expires}.{self._signature('xet', f'{role}.{repo}', expires)}",
            expires,
        )

    def xet_grant(self, authorization: str | None) -> XetGrant:
        """What a Xet token allows; 401 for one that is missing, wrong or expired."""
        parts = (authorization or "").removeprefix("Bearer ").split(".")
        if len(parts) == 5 and parts[2].isdecimal() and parts[3].isdecimal() and len(parts[3]) < 12:
            role, repo, expires = parts[1], int(parts[2]), int(parts[3])
            genuine = self._signature("xet", f"{role}.{repo}", expires)
            if hmac.compare_digest(parts[4].encode(), genuine.encode()) and expires >= time.time():
                return XetGrant(role, repo)
        raise HubError(401, "A valid Xet access token is needed")

    def _signature(self, purpose: str, what: str, expires: int) -> str:
        return hmac.new(self._secret, f"{purpose}\n{what}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _basic_password(value: str) -> str | None:
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except (Base64Error, UnicodeDecodeError):
        return None


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(
        os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    temporary.replace(path)
