"""Names the Hub accepts for repos and collections."""

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.hub.names import check_collection, check_repo


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
