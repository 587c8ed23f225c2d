"""Names the Hub accepts for repos and collections."""

from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.hub.names import check_collection, check_hub_name, check_repo


@pytest.mark.parametrize(
    "name",
    [
        "toy",
        "a/b/c",
        "../etc",
        "a/..",
        "a/b..c",
        "a/b--c",
        "-a/b",
        "a/b.git",
        "a/" + "n" * 97,
        "a/b c",
        "",
        "/",
    ],
)
def test_repo_names_the_hub_rejects(name: str) -> None:
    with pytest.raises(UsageError, match=r"--repo .*: not a valid repo name"):
        check_repo(name)


def test_a_valid_repo_name_is_returned() -> None:
    assert check_repo("org-1/a_b.c-2") == "org-1/a_b.c-2"


def test_titles_and_notes_the_hub_rejects() -> None:
    check_collection("t" * 60, "n" * 500)
    check_collection(None, None)
    for title, note in (("t" * 61, None), (" ", None), ("t", "n" * 501)):
        with pytest.raises(UsageError, match=r"--collection|--note"):
            check_collection(title, note)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "nano-l2t").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "nowhere: no such directory, and not a name on the Hub\nA name on the Hub is ORG/NAME or"),
        ("model", "model: no such directory, and not a name on the Hub\nDid you mean 'models'?"),
        ("./models/nano", "./models/nano: no such file or directory\nDid you mean 'models/nano-l2t'?"),
        ("/nope/x", "/nope/x: no such file or directory\nA name on the Hub is ORG/NAME"),
        ("a/b/c", "a/b/c: no such file or directory\nA name on the Hub is ORG/NAME"),
        ("a/data.parquet", "a/data.parquet: no such file or directory"),
        ("org/", "org/: no such file or directory"),
        ("a\\b", "a\\b: no such file or directory"),
        ("a b/c", "a b/c: no such directory, and not a name on the Hub"),
        ("a\0b", "a\ufffdb: no such directory, and not a name on the Hub"),
        (
            "models/nano-l2",
            "models/nano-l2: no such directory\nDid you mean 'models/nano-l2t'? "
            "If you mean the Hub, name a revision: models/nano-l2@main.",
        ),
        ("models/x", "models/x: no such directory\nIf you mean the Hub, name a revision: models/x@main."),
        ("mdoels/nano-l2t", "mdoels/nano-l2t: no such directory\nDid you mean 'models/nano-l2t'?"),
    ],
)  # fmt: skip
def test_a_mistyped_path_is_not_taken_for_a_name_on_the_hub(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_hub_name(text)
    assert str(caught.value).startswith(message)


@pytest.mark.usefixtures("models")
def test_a_name_that_resembles_nothing_here_is_one_on_the_hub() -> None:
    for name in ("my-org/nano-l2t", "my-org/nano-l2t@v1", "models/nano-l2@main"):
        check_hub_name(name)
    check_hub_name("models/nano-l2", nearby=False)
