"""Each failure of a Hub call is one sentence with a remedy, without URL of the request, token or traceback."""

import errno
import re

import httpx2
import pytest
from hub_errors import http_error
from huggingface_hub.errors import OfflineModeIsEnabled

from l2t_hub.hub.failures import explain, hub_error

CASES = [
    (http_error(401), "HUB rejected the token: it is invalid or has expired"),
    (http_error(403, "You are not\n a member"), "HUB denied access (You are not a member)"),
    (http_error(404, "Not found"), "HUB has no such repo, revision or file (Not found)"),
    (http_error(409), "HUB reported a conflict with another change"),
    (http_error(412), "the repo on HUB changed in the meantime"),
    (http_error(413), "HUB rejected a request as too large"),
    (http_error(429, "slow down"), "HUB is rate-limiting requests (slow down)"),
    (http_error(400, "bad YAML"), "HUB refused the request with status 400 (bad YAML)"),
    (http_error(500, "see hf_secretsecret"), "HUB failed with status 500 (see ***)"),
    (http_error(503), "HUB failed with status 503"),
    (http_error(507), "HUB has no storage space left"),
    (
        httpx2.ConnectError("Connection refused"),
        "the connection to HUB failed (ConnectError: Connection refused)",
    ),
    (httpx2.ReadTimeout("timed out"), "HUB did not respond in time"),
    (TimeoutError(), "HUB did not respond in time"),
    (OSError(errno.ENOSPC, "No space left", "/cache"), "the disk is full on this machine"),
    (RuntimeError("IO Error: No space left on device (os error 28)"), "the disk is full on this machine"),
    (PermissionError(13, "Permission denied", "/cache"), "/cache: Permission denied"),
    (OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set, so the Hub cannot be reached"),
    (KeyError("name"), "KeyError: 'name'"),
]


@pytest.mark.parametrize(("error", "sentence"), CASES, ids=[sentence for _, sentence in CASES])
def test_every_failure_is_a_sentence_with_a_remedy(error: Exception, sentence: str) -> None:
    message, remedy = explain(error, "HUB")
    assert message == sentence
    assert re.fullmatch(r"[A-Z].*\.|", remedy)
    assert bool(remedy) == (not isinstance(error, KeyError))
    assert "{" not in message + remedy


def test_a_wrapped_failure_is_explained_by_its_cause() -> None:
    error = RuntimeError("upload failed")
    error.__cause__ = http_error(429)
    assert explain(error, "HUB")[0] == "HUB is rate-limiting requests"


def test_the_remedy_names_the_access_that_is_needed() -> None:
    assert explain(http_error(403), "HUB", "write")[1] == "Use a token that has write access to this repo."
    error = hub_error(http_error(403), "org/toy: download failed", "HUB")
    assert error.message == "org/toy: download failed: HUB denied access"
    assert error.hint == "Use a token that has read access to this repo. Then rerun the command."
