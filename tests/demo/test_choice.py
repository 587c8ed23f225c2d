"""Which models the page offers, from where, and under which names."""

from pathlib import Path

import pytest

from l2t_hub.demo.choice import MODELS_VARIABLE, chosen_models, display_names
from l2t_hub.errors import UsageError, UserError

BOMB = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))])


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    file = tmp_path / "README.md"
    file.write_text("---\ntitle: t\nmodels:\n  - org/raw\n  - org/l2t\n---\n# Hello\n", encoding="utf-8")
    return file


def test_arguments_win_over_environment_over_readme(readme: Path) -> None:
    environment = {MODELS_VARIABLE: "org/a, org/b"}
    assert chosen_models(["x", "y"], environment, readme) == ("x", "y")
    assert chosen_models([], environment, readme) == ("org/a", "org/b")
    assert chosen_models([], {}, readme) == ("org/raw", "org/l2t")


def test_a_model_named_twice_is_offered_once() -> None:
    assert chosen_models(["x", "y", "x"], {}) == ("x", "y")


def test_no_model_at_all_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model") as caught:
        chosen_models([], {}, tmp_path / "README.md")
    assert "l2t demo MODEL MODEL" in str(caught.value)


@pytest.mark.parametrize(
    "matter", ["models: org/one", "models: [1, 2]", "- a\n- list", "models: [unclosed", BOMB]
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
