"""Which variables are secrets, and what becomes of the environment."""

import os
import re
import subprocess

import pytest

from l2t_hub.clean_environment import SECRET_NAMES, adopted, for_workers, without_secrets

SECRET = {
    "HF_TOKEN": "x",
    "HUGGING_FACE_HUB_TOKEN": "x",
    "GITHUB_TOKEN": "x",
    "AWS_REGION": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "GOOGLE_APPLICATION_CREDENTIALS": "/x",
    "OPENAI_API_KEY": "x",
    "WANDB_API_KEY": "x",
    "openai_apikey": "x",
    "PGPASSWORD": "x",
    "MYSQL_PWD": "x",
    "SSH_AUTH_SOCK": "/x",
    "DB_PASS": "x",
    "DATABASE_URL": "postgres://user:pass@host/db",
    "HTTPS_PROXY": "http://user:pass@proxy:3128",
    "HARMLESS_NAME": "hf_abcdefghijklmnop",
    "IDENTITY": "-----BEGIN OPENSSH PRIVATE KEY-----",
}
HARMLESS = {
    "PATH": "/usr/bin",
    "PWD": "/home",
    "OLDPWD": "/home",
    "HOME": "/home/me",
    "TOKENIZERS_PARALLELISM": "false",
    "KEYBOARD": "us",
    "OMP_NUM_THREADS": "1",
    "HF_HOME": "/cache",
    "HF_ENDPOINT": "https://hub.example",
    "HF_TOKEN_PATH": "/home/me/token",
    "HTTP_PROXY": "http://proxy:3128",
    "PASSENGERS": "3",
    "L2T_MONKEY": "1",
}


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_is_left_out(name: str) -> None:
    assert without_secrets({name: SECRET[name]}) == {}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_is_kept(name: str) -> None:
    assert without_secrets({name: HARMLESS[name]}) == {name: HARMLESS[name]}


def test_a_copy_of_a_secret_is_one_too() -> None:
    given = {"MY_TOKEN": "correct-horse", "COPY": "Bearer correct-horse", "N_TOKENS": "1", "LEVEL": "1"}
    assert without_secrets(given) == {"LEVEL": "1"}


def test_workers_get_the_token_only_if_they_read_a_hub() -> None:
    given = {"HF_TOKEN": "secret-token", "HF_TOKEN_PATH": "/home/me/token", "A": "1"}
    assert for_workers(given) == {"A": "1", "HF_TOKEN_PATH": os.devnull}
    assert for_workers(given, "given") == {"A": "1", "HF_TOKEN_PATH": "/home/me/token", "HF_TOKEN": "given"}


def test_a_block_keeps_what_it_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    before = dict(os.environ)
    with adopted(without_secrets(os.environ)):
        assert "HF_TOKEN" not in os.environ
        monkeypatch.setenv("SET_INSIDE", "1")
    assert dict(os.environ) == before | {"SET_INSIDE": "1"}


def test_grep_and_python_agree_on_the_names() -> None:
    names = [*SECRET, *HARMLESS]
    found = subprocess.run(
        ["grep", "-Ei", SECRET_NAMES], input="\n".join(names), capture_output=True, text=True, check=False
    )
    assert found.stdout.split() == [n for n in names if re.search(SECRET_NAMES, n, re.IGNORECASE)]
