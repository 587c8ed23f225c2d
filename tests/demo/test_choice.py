"""Which models the page offers, from where, and under which names."""

from pathlib import Path

import pytest

from l2t_hub.demo.choice import (
    DATASETS_VARIABLE,
    MODELS_VARIABLE,
    RESULTS_VARIABLE,
    ModelChoice,
    Offer,
    chosen_offer,
    display_names,
    guests_allowed,
    parse_choice,
)
from l2t_hub.errors import UsageError, UserError

BOMB = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))])


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    file = tmp_path / "README.md"
    file.write_text(
        "---\ntitle: t\nmodels:\n  - org/raw\n  - org/l2t\ndatasets: [org/data]\nl2t_results: [org/scores]\n---\n# Hello\n",
        encoding="utf-8",
    )
    return file


def chosen_models(
    given: list[str], environment: dict[str, str], readme: Path | None = None
) -> tuple[str, ...]:
    return chosen_offer(Offer(tuple(given)), environment, readme).models


def test_arguments_win_over_environment_over_readme(readme: Path) -> None:
    environment = {MODELS_VARIABLE: "org/a, org/b"}
    assert chosen_models(["x", "y"], environment, readme) == ("x", "y")
    assert chosen_models([], environment, readme) == ("org/a", "org/b")
    assert chosen_models([], {}, readme) == ("org/raw", "org/l2t")


def test_datasets_and_results_come_from_the_same_places(readme: Path) -> None:
    environment = {DATASETS_VARIABLE: "org/b", RESULTS_VARIABLE: "org/c org/d"}
    given = Offer(("m",), ("data",), ("scores.json",))
    assert chosen_offer(given, environment, readme) == given
    assert chosen_offer(Offer(("m",)), environment, readme) == Offer(("m",), ("org/b",), ("org/c", "org/d"))
    assert chosen_offer(Offer(()), {}, readme) == Offer(
        ("org/raw", "org/l2t"), ("org/data",), ("org/scores",)
    )


def test_visitors_may_name_models_unless_the_owner_says_no() -> None:
    assert guests_allowed(None, {})
    assert not guests_allowed(None, {"L2T_DEMO_GUEST_MODELS": "0"})
    assert not guests_allowed(False, {})
    assert guests_allowed(True, {"L2T_DEMO_GUEST_MODELS": "no"})


OFFERED = {"raw": "runs/models/raw", "odd@name": "runs/models/odd@name"}


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("raw", ModelChoice("raw")),
        (" raw@step-20 ", ModelChoice("raw", "step-20")),
        ("odd@name", ModelChoice("odd@name")),
        ("org/model", ModelChoice("org/model")),
        ("org/model@refs/pr/1", ModelChoice("org/model", "refs/pr/1")),
    ],
)
def test_a_visitor_names_a_model_of_the_page_or_one_on_the_hub(typed: str, choice: ModelChoice) -> None:
    assert parse_choice(typed, OFFERED, guests=True) == choice
    assert parse_choice(choice.label, OFFERED, guests=True) == choice


@pytest.mark.parametrize(
    "typed",
    [
        *("", "rav", "/etc", "../up", "a/b/c", "./raw", "~/model", "runs/models/raw", "C:\\models", "org/.."),
        *(
            "https://example.org/model",
            "hf://org/model",
            "file:///etc/passwd",
            "org/model@",
            "org/model@../x",
        ),
        *(
            "org/model@a b",
            "org/model@" + "x" * 200,
            "o" * 97 + "/m",
            "x" * 10_000_000,
            "raw@\0",
        ),
        *("\u202eraw", "org/<script>", "org/m\u0430"),
    ],
)
def test_nothing_else_is_a_model(typed: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_choice(typed, OFFERED, guests=True)
    assert len(str(refused.value)) < 1000


def test_without_guests_only_models_of_the_page_are_known() -> None:
    with pytest.raises(UserError, match="does not offer"):
        parse_choice("org/model", OFFERED, guests=False)


def test_a_model_named_twice_is_offered_once() -> None:
    assert chosen_models(["x", "y", "x"], {}) == ("x", "y")


def test_no_model_at_all_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model") as caught:
        chosen_models([], {}, tmp_path / "README.md")
    assert "l2t demo MODEL MODEL" in str(caught.value)


@pytest.mark.parametrize(
    "matter",
    [
        "models: org/one",
        "models: [1, 2]",
        "models: [m]\ndatasets: 7",
        "- a\n- list",
        "models: [unclosed",
        BOMB,
    ],
)
def test_a_readme_that_makes_no_sense_is_named(tmp_path: Path, matter: str) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"---\n{matter}\n---\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"README\.md"):
        chosen_models([], {}, file)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["runs/nano/models/nano-raw", "runs/nano/models/nano-l2t"], ["nano-raw", "nano-l2t"]),
        (["a/model", "b/model", "org/other"], ["a/model", "b/model", "other"]),
        (["m"], ["m"]),
        (["x/m", "m"], ["x/m", "m"]),
        (["m/", "m"], ["m/", "m"]),
        (["/", "."], ["/", "."]),
    ],
)
def test_names_are_short_and_tell_the_models_apart(models: list[str], names: list[str]) -> None:
    assert display_names(models) == dict(zip(names, models, strict=True))
