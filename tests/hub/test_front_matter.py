"""The front matter of cards: read by huggingface_hub, with bounds on what a hostile card can cost."""

import os
import time
from pathlib import Path

import pytest

from l2t_hub.errors import UserError
from l2t_hub.hub.front_matter import MAX_BYTES, load_front_matter

LEVELS = range(1, 40)
MERGE_BOMB = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in LEVELS)
ALIAS_BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in LEVELS)


def _card(folder: Path, front_matter: str) -> Path:
    card = folder / "README.md"
    card.write_text(f"---\n{front_matter}\n---\n# Card\n", encoding="utf-8")
    return card


def test_front_matter_is_read(tmp_path: Path) -> None:
    card = _card(tmp_path, "license: mit\ntags: &t [a, b]\nmore: *t\npath: data/*.parquet & more")
    read = load_front_matter(card)
    assert read == {"license": "mit", "tags": ["a", "b"], "more": ["a", "b"], "path": "data/*.parquet & more"}
    card.write_text("# No front matter\n")
    assert load_front_matter(card) == {}
    assert load_front_matter(_card(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("front_matter", "problem"),
    [
        ("license: mit\ntags: [a", r"README.md:3: the front matter is not valid YAML: "),
        ("- a list", "the front matter is not valid: it must be a mapping"),
        ("x: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("x: " + "9" * 5000, "Exceeds the limit"),
        ("date: 2026-99-99", "month must be in"),
        ("? [a]\n: b", "unhashable key"),
    ],
)
def test_invalid_front_matter_is_one_sentence(tmp_path: Path, front_matter: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        load_front_matter(_card(tmp_path, front_matter))


@pytest.mark.parametrize(
    "front_matter",
    [MERGE_BOMB, ALIAS_BOMB, "a: &x [*x]", "a: " + "[" * 60_000, "{" * 3000, "x" * (MAX_BYTES + 1)],
    ids=["merge keys", "aliases", "cycle", "nested lists", "nested mappings", "long"],
)
def test_a_card_bomb_is_refused_quickly(tmp_path: Path, front_matter: str) -> None:
    started = time.process_time()
    with pytest.raises(UserError, match=r"front matter is (nested too deeply|not valid: it)"):
        load_front_matter(_card(tmp_path, front_matter))
    assert time.process_time() - started < 20


def test_a_card_that_is_not_a_readable_text_file(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    with pytest.raises(UserError, match=r"README\.md: cannot be read"):
        load_front_matter(card)
    card.write_bytes(b"---\nname: \xff\n---\n")
    with pytest.raises(UserError, match="the card: not UTF-8"):
        load_front_matter(card, "the card")
    card.unlink()
    os.mkfifo(card)
    with pytest.raises(UserError, match="not a plain file"):
        load_front_matter(card)
