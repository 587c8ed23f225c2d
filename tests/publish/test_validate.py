"""The checks of every release: no pickles, a valid card, a Space that can build."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from release_toys import refused

Toy = Callable[..., Path]
PICKLE = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("optimizer.pt", b"x"),
        ("pytorch_model.bin", b"x"),
        ("scores.png", PICKLE),
        ("weights.json5", b"PK\x03\x04 archive/data.pkl ..."),
    ],
)
@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_pickle_is_refused_by_name_and_by_content(toy: Toy, kind: str, name: str, content: bytes) -> None:
    directory = toy(kind)
    (directory / name).write_bytes(content)
    assert re.search(rf"{name}: .*pickle", refused(directory))


def test_the_card_must_be_valid_and_complete(toy: Toy) -> None:
    cases = {
        "# no front matter": "no front matter",
        "---\nlicense: [mit\n---\n": r"README.md:2?3?: the front matter is not valid YAML",
        "---\n- a list\n---\n": "must be a mapping",
        "---\nlicense: mit\nlicence: mit\n---\n": "unknown key `licence`",
        "---\nlanguage: en\n---\n": "`license` is missing",
    }
    for number, (card, message) in enumerate(cases.items()):
        directory = toy("model", name=f"model-{number}")
        (directory / "README.md").write_text(card)
        assert re.search(message, refused(directory)), message
    directory = toy("model", name="without")
    (directory / "README.md").unlink()
    assert "README.md: missing" in refused(directory)


def test_a_space_must_be_able_to_build(toy: Toy) -> None:
    directory = toy("space")
    (directory / "l2t_hub-1.0-py3-none-any.whl").unlink()
    (directory / "app.py").rename(directory / "main.py")
    card = directory / "README.md"
    card.write_text(card.read_text().replace("colorFrom: blue", "colorFrom: mauve"))
    message = refused(directory)
    assert "`app_file` is app.py, which does not exist" in message
    assert "requirements.txt: l2t_hub-1.0-py3-none-any.whl is not in the directory" in message
    assert "`colorFrom` must be one of" in message
