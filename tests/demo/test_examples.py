"""Examples read from the bundled probes, however many files there are."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_hub import WatchedHub, put

from l2t_hub.demo.examples import (
    BLIMP,
    BLIMP_VARIABLE,
    blimp_pairs,
    blimp_source,
    example_pairs,
    phenomenon_title,
)
from l2t_hub.errors import UserError


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
        assert 12 <= len(pairs) <= 24
        assert all(good != bad and good.strip() and bad.strip() for good, bad in pairs)


def test_where_blimp_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: True)
    assert blimp_source({}) is None
    assert blimp_source({BLIMP_VARIABLE: " pairs.parquet "}) == "pairs.parquet"
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    assert blimp_source({}) == BLIMP
    assert blimp_source({BLIMP_VARIABLE: "none"}) is None


def test_a_few_pairs_of_each_phenomenon_of_blimp(shared_data: Path) -> None:
    found = blimp_pairs(str(shared_data / "blimp" / "blimp.parquet"), per_phenomenon=24)
    assert len(found) == 12
    assert "Argument structure" in found
    assert {len(pairs) for pairs in found.values()} == {24}


def test_blimp_comes_from_the_hub_without_its_code(tmp_path: Path) -> None:
    hub = WatchedHub(tmp_path / "hub")
    hub.start()
    files = {"README.md": b"# BLiMP\n", "blimp.py": b"raise SystemExit('code of a dataset ran')"}
    for paradigm, term in (("animate", "s-selection"), ("adjunct", "island_effects")):
        columns = {"sentence_good": ["a", "c"], "sentence_bad": ["b", "d"]}
        table = pa.table({**columns, "linguistics_term": [term] * 2, "UID": [paradigm] * 2})
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        files[f"{paradigm}/train-00000-of-00001.parquet"] = buffer.getvalue().to_pybytes()
    put(hub, "dataset", BLIMP, files)
    code = (
        "import json; from l2t_hub.demo.examples import *\n"
        "from l2t_hub.errors import UserError\n"
        "print(json.dumps(blimp_pairs(blimp_source({}))))\n"
        "try:\n    blimp_pairs('me/none')\nexcept UserError as error:\n    print(error.message)"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    hub.stop()
    assert done.returncode == 0, done.stderr
    found, error = done.stdout.splitlines()
    assert json.loads(found) == {
        "Argument structure": [["a", "b"], ["c", "d"]],
        "Island effects": [["a", "b"], ["c", "d"]],
    }
    assert "me/none" in error
    assert not list(home.rglob("blimp.py"))


def test_blimp_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of pairs"):
        blimp_pairs(str(tmp_path / "blimp.parquet"))


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
