"""Examples read from the bundled probes, however many files there are."""

import json
from pathlib import Path

import pytest

from l2t_hub.demo.examples import example_pairs, phenomenon_title


def write(folder: Path, phenomenon: str, paradigms: dict[str, int]) -> None:
    rows = [
        {
            "phenomenon": phenomenon,
            "paradigm": paradigm,
            "good": f"{paradigm} good {i}",
            "bad": f"{paradigm} bad {i}",
        }
        for paradigm, count in paradigms.items()
        for i in range(count)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{phenomenon}.jsonl").write_text(text, encoding="utf-8")


def test_paradigms_take_turns(tmp_path: Path) -> None:
    write(tmp_path, "island_effects", {"adjunct": 5, "whether": 1})
    write(tmp_path, "binding", {"gender": 1})
    found = example_pairs(tmp_path, per_phenomenon=3)
    assert list(found) == ["Binding", "Island effects"]
    assert found["Island effects"] == [
        ("adjunct good 0", "adjunct bad 0"),
        ("whether good 0", "whether bad 0"),
        ("adjunct good 1", "adjunct bad 1"),
    ]
    assert found["Binding"] == [("gender good 0", "gender bad 0")]


def test_no_files_no_examples(tmp_path: Path) -> None:
    assert example_pairs(tmp_path) == {}
    assert example_pairs(tmp_path / "missing") == {}


def test_the_bundled_probes_give_a_few_pairs_of_each_of_twelve_phenomena() -> None:
    found = example_pairs()
    assert len(found) == 12
    for pairs in found.values():
        assert 3 <= len(pairs) <= 6
        assert all(good != bad and good.strip() and bad.strip() for good, bad in pairs)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("subject_verb_agreement", "Subject-verb agreement"),
        ("determiner_noun_agreement", "Determiner-noun agreement"),
        ("npi_licensing", "NPI licensing"),
        ("control_raising", "Control/raising"),
        ("filler_gap", "Filler-gap"),
        ("binding", "Binding"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert phenomenon_title(name) == title
