"""The environment that leads a child process to one Hub, and nothing of the user's to another."""

from pathlib import Path

from l2t_hub.hub.endpoint import PUBLIC, Endpoint

USERS = {
    "HF_ENDPOINT": "x",
    "HF_TOKEN": "hf_mine",
    "HF_HOME": "/mine",
    "TRANSFORMERS_CACHE": "/mine",
    "PATH": "/bin",
}


def test_a_private_home_replaces_all_settings_of_the_users_hub() -> None:
    endpoint = Endpoint("https://hub.example.org", "", Path("/home"), "hf_other")
    environment = endpoint.environment(USERS | {"HF_XET_HIGH_PERFORMANCE": "1"})
    assert environment["HF_ENDPOINT"] == "https://hub.example.org"
    assert (environment["HF_HOME"], environment["HF_TOKEN"]) == ("/home", "hf_other")
    assert environment["HF_UPDATE_DOWNLOAD_COUNTS"] == "0"
    assert (environment["PATH"], environment["HF_XET_HIGH_PERFORMANCE"]) == ("/bin", "1")
    assert not {"TRANSFORMERS_CACHE", "NO_PROXY"} & set(environment)


def test_a_hub_on_this_machine_gets_no_proxy_and_no_token_of_another() -> None:
    environment = Endpoint("http://127.0.0.1:1/rehearsal", "local", Path("/home")).environment(USERS)
    assert environment["NO_PROXY"] == environment["no_proxy"] == "127.0.0.1,localhost"
    assert "HF_TOKEN" not in environment


def test_without_a_private_home_the_environment_stays() -> None:
    assert Endpoint(PUBLIC, token="hf_mine").environment(USERS) == USERS


def test_names_and_urls_say_rehearsal_for_the_local_hub_only() -> None:
    local = Endpoint("http://127.0.0.1:1/rehearsal")
    assert (local.is_local_hub, local.name) == (True, "rehearsal Hub http://127.0.0.1:1/rehearsal")
    assert (Endpoint(PUBLIC).is_local_hub, Endpoint(PUBLIC).name) == (False, PUBLIC)
    assert local.repo_url("space", "org/toy") == "http://127.0.0.1:1/rehearsal/spaces/org/toy"
    assert Endpoint(PUBLIC).repo_url("model", "org/toy") == f"{PUBLIC}/org/toy"


def test_the_token_is_never_shown() -> None:
    endpoint = Endpoint(PUBLIC, token="hf_secret")
    assert "hf_secret" not in f"{endpoint!r} {endpoint} {endpoint.name}"
