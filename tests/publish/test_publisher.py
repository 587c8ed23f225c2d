"""The namespace that `l2t run` publishes to."""

import pytest
from release_hub import WatchedHub

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.publish.publisher import find_namespace


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use the local Hub, although the suite is offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def test_the_namespace_is_the_one_given_or_the_tokens_account(hub: WatchedHub) -> None:
    endpoint = Endpoint(hub.url, token=hub.keys.write)
    assert find_namespace(endpoint, "lab") == "lab"
    assert find_namespace(endpoint, None) == "rehearsal"


def test_without_a_valid_token_there_is_no_namespace(hub: WatchedHub) -> None:
    with pytest.raises(UserError, match="no token for rehearsal Hub"):
        find_namespace(Endpoint(hub.url), None)
    with pytest.raises(UserError, match="rejected the token: it is invalid or has expired") as caught:
        find_namespace(Endpoint(hub.url, token="hf_wrong_wrong_wrong"), None)
    assert "hf_wrong" not in str(caught.value)
