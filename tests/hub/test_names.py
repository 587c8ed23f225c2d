"""Names the Hub accepts for repos, files and collections."""

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.hub.names import check_repo, path_problem


def test_paths_that_leave_the_repo_or_break_git() -> None:
    for good in ("README.md", "data/a b/ü.parquet", "a/.eval_results/x"):
        assert path_problem(good) is None
    for bad in (
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./a",
        "a\\b",
        "a\nb",
        "x/.git/config",
        ".GIT/x",
        "a/" + "n" * 256,
        "/".join(["abc"] * 300),
        "\udcff",
    ):
        assert path_problem(bad), bad


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
def test_repo_names_the_hub_cannot_take(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid repo name"):
        check_repo(name)
    check_repo("org-1/a_b.c-2")
