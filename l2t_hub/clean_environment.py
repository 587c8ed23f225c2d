"""An environment without secrets, for processes that run task modules and need no Hub.

A variable is secret by its name (a word such as TOKEN, KEY or PASSWORD, or a cloud's family such as AWS_), by its
value (the form of a token, a private key, a URL with a password), or because it repeats the value of a secret one.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# In the syntax that Python and `grep -E` share: on Slurm, the shell of a job applies it.
SECRET_NAMES = (
    "^(AWS|AZURE|GCP|GOOGLE|GCLOUD)_"
    "|(^|_)(TOKENS?|KEYS?|AUTH|PASS|PAT|PWD|COOKIES?|DSN|SAS)(_|$)"
    "|SECRET|PASSW|PASSPHRASE|CREDENTIAL|APIKEY|ACCESSKEY|PRIVATEKEY"
)
# Not secrets: working directories, and the place of a token that `for_workers` replaces.
KEPT_NAMES = ("PWD", "OLDPWD", "HF_TOKEN_PATH")
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_SECRET_VALUE = re.compile(
    r"\b(hf_|gh[opsu]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA)[A-Za-z0-9_-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]*:[^/\s@]+@"
)
# A shorter value, such as "1" or "true", may be repeated by chance.
_SHORTEST_SECRET = 8


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are no secrets."""
    secret = {name for name, value in environment.items() if _is_secret(name, value)}
    values = [environment[name] for name in secret if len(environment[name]) >= _SHORTEST_SECRET]
    return {
        name: value
        for name, value in environment.items()
        if name not in secret and not any(repeated in value for repeated in values)
    }


def _is_secret(name: str, value: str) -> bool:
    if name in KEPT_NAMES:
        return False
    return bool(re.search(SECRET_NAMES, name, re.IGNORECASE) or _SECRET_VALUE.search(value))


def for_workers(environment: Mapping[str, str], hub_token: str | None = None) -> dict[str, str]:
    """Return the environment of build workers. Only a worker that reads a Hub source gets the `hub_token`."""
    clean = without_secrets(environment)
    if hub_token is not None:
        return clean | {"HF_TOKEN": hub_token}
    # Without this, the Hugging Face libraries would read the token that `hf auth login` stored.
    return clean | {"HF_TOKEN_PATH": os.devnull}


def adopt(environment: Mapping[str, str]) -> None:
    """Make `environment` that of this process and of its children."""
    os.environ.clear()
    os.environ.update(environment)


@contextmanager
def adopted(environment: Mapping[str, str]) -> Iterator[None]:
    """Adopt `environment` for the length of a block. What the block itself sets is kept."""
    before = dict(os.environ)
    adopt(environment)
    try:
        yield
    finally:
        changed = {n: v for n, v in os.environ.items() if environment.get(n) != v}
        adopt(before | changed)
