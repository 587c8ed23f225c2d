"""The probe suite: its size, the form of its pairs, and that its files are what the script generates."""

import importlib.util
import math
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from probe_pairs import PAIRS

from l2t_hub.evaluate.suites import PROBES

PHENOMENA = {
    "anaphor_agreement",
    "argument_structure",
    "binding",
    "control_raising",
    "determiner_noun_agreement",
    "ellipsis",
    "filler_gap",
    "irregular_forms",
    "island_effects",
    "npi_licensing",
    "quantifiers",
    "subject_verb_agreement",
}
WORD = re.compile(r"[a-z]+(?:'s)?")


def words(sentence: str) -> list[str]:
    return WORD.findall(sentence.lower())


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_probes", repository / "scripts" / "make_probes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_twelve_phenomena_with_six_paradigms_of_twelve_pairs() -> None:
    counts = Counter((pair["phenomenon"], pair["paradigm"]) for pair in PAIRS)
    assert {phenomenon for phenomenon, _ in counts} == PHENOMENA
    assert len(counts) == 12 * 6
    assert set(counts.values()) == {12}


def test_no_pair_is_repeated_and_no_sentence_is_both_good_and_bad() -> None:
    assert len({pair["id"] for pair in PAIRS}) == len(PAIRS)
    assert len({(pair["good"], pair["bad"]) for pair in PAIRS}) == len(PAIRS)
    good, bad = {pair["good"] for pair in PAIRS}, {pair["bad"] for pair in PAIRS}
    assert len(good) == len(PAIRS)
    assert not good & bad


@pytest.mark.parametrize("phenomenon", sorted(PHENOMENA))
def test_pairs_are_minimal_and_well_formed(phenomenon: str) -> None:
    for pair in (pair for pair in PAIRS if pair["phenomenon"] == phenomenon):
        good, bad = pair["good"], pair["bad"]
        assert pair["id"].startswith(f"{phenomenon}/{pair['paradigm']}/")
        for sentence in (good, bad):
            assert re.fullmatch(r"[A-Z][A-Za-z', ]*[.?]", sentence), sentence
            assert "  " not in sentence, sentence
            assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", sentence), sentence
            assert not re.search(r"\b(\w+) \1\b", sentence.lower()), sentence
        assert good[-1] == bad[-1]
        # Either one or two words differ, or the same words are in another order.
        assert words(good) != words(bad), good
        assert (Counter(words(good)) - Counter(words(bad))).total() <= 2, good
        assert (Counter(words(bad)) - Counter(words(good))).total() <= 2, good
        assert abs(len(words(good)) - len(words(bad))) <= 1, good
        assert abs(len(good) - len(bad)) <= 7, good


def test_the_committed_files_are_what_the_script_generates(script: ModuleType) -> None:
    files = script.suite_files()
    for name, text in files.items():
        assert (PROBES / name).read_text(encoding="utf-8") == text, f"{name}: run scripts/make_probes.py"
    generated = {p.relative_to(PROBES).as_posix() for p in (*PROBES.glob("*.yaml"), *PROBES.glob("data/*"))}
    assert generated == set(files) - {"PHENOMENA.md"}


def test_every_word_is_in_the_lexicon_or_in_a_frame(script: ModuleType) -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in script.FRAMES.glob("*.yaml"))
    known = set(words(text)) | {"an"}
    used = {word for pair in PAIRS for word in words(pair["good"] + " " + pair["bad"])}
    assert {word.removesuffix("'s") for word in used} <= known


def test_every_lexicon_entry_has_all_forms_of_its_kind(script: ModuleType) -> None:
    lexicon = script.read_lexicon(script.FRAMES / "lexicon.yaml")
    assert lexicon["person"][0] == {"": "teacher", "pl": "teachers"}
    for name, entries in lexicon.items():
        plain = [entry[""] for entry in entries]
        assert len(set(plain)) == len(plain), name


def test_the_script_refuses_a_frame_without_a_contrast(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="no \\[good\\|bad\\]"):
        script.templates({"frame": "The {person} is here."})


def test_the_check_finds_a_changed_file(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "SUITE", tmp_path)
    monkeypatch.setattr("sys.argv", ["make_probes.py"])
    assert script.main() == 0
    monkeypatch.setattr("sys.argv", ["make_probes.py", "--check"])
    assert script.main() == 0
    (tmp_path / "data" / "binding.jsonl").write_text("")
    assert script.main() == 1
    assert "differs" in capsys.readouterr().out


def test_the_task_files_agree_with_the_readme() -> None:
    template = yaml.safe_load((PROBES / "_template_yaml").read_text().replace("!function ", ""))
    assert template["target_delimiter"] == ""
    assert template["doc_to_text"] == ""
    assert template["doc_to_choice"] == "{{[bad, good]}}"
    assert template["doc_to_target"] == 1
    assert "l2t_hub" not in (PROBES / "pairs.py").read_text().split('"""')[2]


def test_word_frequency_does_not_solve_the_suite(shared_data: Path) -> None:
    """A unigram model of a million words scores near chance, and knows the words of the good sentences."""
    import pyarrow.parquet as pq

    texts = pq.read_table(shared_data / "gutenberg" / "sample-1m.parquet")["text"].to_pylist()
    counts = Counter(word for text in texts for word in words(text))
    total = counts.total()

    def log_probability(sentence: str) -> float:
        return sum(math.log((counts[word] + 0.5) / total) for word in words(sentence))

    right: dict[str, list[float]] = {}
    for pair in PAIRS:
        margin = log_probability(pair["good"]) - log_probability(pair["bad"])
        right.setdefault(pair["phenomenon"], []).append(0.5 if abs(margin) < 1e-9 else float(margin > 0))
    shares = {name: sum(values) / len(values) for name, values in right.items()}
    assert sum(shares.values()) / len(shares) == pytest.approx(0.51, abs=0.01)
    assert min(shares.values()) == pytest.approx(0.39, abs=0.01)
    assert max(shares.values()) == pytest.approx(0.67, abs=0.01)
    tokens = [word for pair in PAIRS for word in words(pair["good"])]
    assert sum(counts[word] >= 10 for word in tokens) / len(tokens) > 0.97


def test_no_sentence_is_from_blimp(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "blimp" / "blimp.parquet", columns=["sentence_good", "sentence_bad"])
    blimp = {sentence.strip() for column in table.columns for sentence in column.to_pylist()}
    assert len(blimp) > 100_000
    assert not blimp & {pair[side] for pair in PAIRS for side in ("good", "bad")}
