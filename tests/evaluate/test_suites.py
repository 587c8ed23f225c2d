"""BLiMP and the paper's general tasks: lm-eval's own configurations on local stand-ins for the Hub's data."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from test_offline import environment

from l2t_hub.errors import UserError
from l2t_hub.evaluate import evaluate
from l2t_hub.evaluate.harness import load_tasks
from l2t_hub.evaluate.suites import FIVE_SHOT, SUITES, ZERO_SHOT

RACE = {"question": "Who sat?", "options": ["a dog", "a cat", "a cow", "a fox"], "answer": "B"}
CHOICES = {"text": ["wet", "dry", "red", "old"], "label": ["A", "B", "C", "D"]}
LAMBADA = {"text": "The cat sat near the old river and the children sat near the cat"}
# One row of each dataset that the general suite reads, with all columns that it has, by (path, configuration).
ROWS: dict[tuple[str, str | None], dict[str, Any]] = {
    ("baber/piqa", None): {
        "goal": "Cross a river",
        "sol1": "Take a boat.",
        "sol2": "Take a hat.",
        "label": 0,
    },
    ("Rowan/hellaswag", None): {
        "activity_label": "Rowing",
        "ctx_a": "A man sits in a boat.",
        "ctx_b": "he",
        "endings": ["rows.", "sings the boat.", "eats the river.", "is a hat."],
        "label": "0",
        "ind": 24,
        "ctx": "A man sits in a boat. he",
        "source_id": "activitynet~v_1",
        "split": "train",
        "split_type": "indomain",
    },
    ("allenai/sciq", None): {
        "support": "Rivers carry water.",
        "question": "What do rivers carry?",
        "distractor1": "hats",
        "distractor2": "cats",
        "distractor3": "cups",
        "correct_answer": "water",
    },
    ("aps/super_glue", "copa"): {
        "premise": "The cat was tired.",
        "question": "cause",
        "choice1": "It had run all day.",
        "choice2": "It had slept.",
        "idx": 0,
        "label": 0,
    },
    ("aps/super_glue", "record"): {
        "passage": "Anna sat near the river with Ben.\n@highlight\nAnna was tired",
        "query": "Ben saw that @placeholder was tired.",
        "entities": ["Ben", "Anna", "Ben"],
        "entity_spans": {"text": ["Ben", "Anna", "Ben"], "start": [29, 0, 44], "end": [32, 4, 47]},
        "answers": ["Anna"],
        "idx": {"passage": 0, "query": 0},
    },
    ("EleutherAI/race", "high"): {"article": "A cat sat.", "problems": str([RACE])},
    ("EleutherAI/lambada_openai", "default"): LAMBADA,
    ("cimec/lambada", None): LAMBADA | {"domain": "None"},
    ("EleutherAI/logiqa", "logiqa"): {
        "context": "All cats sit.",
        "question": "Who sits?",
        "options": ["dogs", "cats", "cows", "hats"],
        "label": "b",
    },
    ("allenai/ai2_arc", "ARC-Easy"): {
        "id": "M_1",
        "question": "Rain is",
        "choices": CHOICES,
        "answerKey": "A",
    },
    ("lighteval/siqa", None): {
        "context": "Anna ran.",
        "question": "How does she feel?",
        "answerA": "tired",
        "answerB": "wooden",
        "answerC": "square",
        "label": "1",
    },
    ("allenai/openbookqa", "main"): {
        "id": "7-1",
        "question_stem": "Rain is",
        "choices": CHOICES,
        "answerKey": "A",
    },
}
SPLITS = {
    "EleutherAI/race": ("test",),
    "EleutherAI/lambada_openai": ("test",),
    "lighteval/siqa": ("train", "validation"),
}
SEED = """
import json, sys
from pathlib import Path
from l2t_hub.hub.connect import connected
with connected(sys.argv[1]) as endpoint:
    from huggingface_hub import HfApi
    from l2t_hub.hub.seed import seed
    for repo, config, files in json.loads(Path(sys.argv[2]).read_text()):
        seed(endpoint, files, repo, config=config)
    api = HfApi()
    api.create_repo("some-org/tiny")
    for step, folder in ((3, sys.argv[3]), (12, sys.argv[4])):
        api.create_branch("some-org/tiny", branch=f"work-{step}")
        api.upload_folder(repo_id="some-org/tiny", folder_path=folder, revision=f"work-{step}")
    api.create_tag("some-org/tiny", tag="step-3", revision="work-3")
    api.create_branch("some-org/tiny", branch="step-12", revision="work-12")
"""


def stand_in(path: str, name: str | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    row = ROWS[path, name]
    rows = datasets.Dataset.from_list([{**row, "number": i} for i in range(8)])
    return {"train": rows, "validation": rows, "test": rows}


def unreachable(path: str, **_: Any) -> None:
    raise ConnectionError(f"Couldn't reach '{path}' on the Hub")


@pytest.mark.parametrize("name", ["blimp", "general"])
def test_a_dataset_that_cannot_be_loaded_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        UserError, match=f"suite '{name}': its data cannot be loaded: Couldn't reach"
    ) as caught:
        load_tasks(SUITES[name])
    assert "l2t hub seed" in str(caught.value)


def test_general_runs_the_papers_tasks_with_the_papers_shots(
    tiny_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datasets, "load_dataset", stand_in)
    evaluation = evaluate([str(tiny_models[0])], "general", tmp_path / "general.json", limit=2, device="cpu")
    expected = {f"{task} (0-shot)" for task in ZERO_SHOT} | {f"{task} (5-shot)" for task in FIVE_SHOT}
    assert {row.phenomenon for row in evaluation.models[0].phenomena} == expected
    assert {row.total for row in evaluation.models[0].phenomena} == {2}
    assert {(task.task, task.shots) for task in evaluation.protocol.tasks} == {
        *((task, 0) for task in ZERO_SHOT),
        *((task, 5) for task in FIVE_SHOT),
    }
    assert {task.metric for task in evaluation.protocol.tasks} == {"acc"}
    assert {(task.shots, task.shots_seed) for task in evaluation.protocol.tasks} == {(0, None), (5, 1234)}
    named = {(measure.name, measure.cell) for measure in evaluation.models[0].measures}
    assert ("F1", "record (0-shot)") in named
    assert ("accuracy, answers normalised by length", "piqa (0-shot)") in named


def test_a_dataset_that_is_a_program_has_another_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: Any, **__: Any) -> None:
        raise RuntimeError(f"Dataset scripts are no longer supported, but found {path}.py")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UserError, match="Dataset scripts are no longer supported") as caught:
        load_tasks(SUITES["general"])
    assert "refs/convert/parquet" in str(caught.value)


def test_blimp_has_twelve_phenomena_and_a_leading_space(
    shared_data: Path, tiny_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "blimp" / "blimp.parquet")

    def load(path: str, name: str, **_: Any) -> dict[str, datasets.Dataset]:
        assert path == "nyu-mll/blimp"
        rows = table.filter(pc.equal(table["UID"], name)).slice(0, 3)
        return {"train": datasets.Dataset(rows)}

    monkeypatch.setattr(datasets, "load_dataset", load)
    out = tmp_path / "blimp.json"
    evaluation = evaluate([str(model) for model in tiny_models], "blimp", out, device="cpu")
    (model, _) = evaluation.models
    assert model.micro.total == 67 * 3
    totals = {row.phenomenon: row.total for row in model.phenomena}
    assert len(totals) == 12
    # Nine of the 67 paradigms are about argument structure, selection included.
    assert totals["argument_structure"] == 9 * 3
    assert {task.target_delimiter for task in evaluation.protocol.tasks} == {" "}
    assert {name: len(rows) for name, rows in model.groups.items()} == {"paradigm": 67, "field": 4}
    assert sum(row.total for row in model.groups["field"]) == 67 * 3
    (comparison,) = evaluation.comparisons
    assert [len(rows) for rows in comparison.groups.values()] == [67, 4]
    assert comparison.clusters == 67
    named = {reading.name: reading.micro.total for reading in model.readings}
    # The one-prefix method applies to 24 paradigms, and not to pairs of words of which one begins the other.
    assert 0 < named["leading space, one-prefix"] == named["no leading space, one-prefix"] <= 24 * 3
    row = json.loads((tmp_path / "blimp.samples.jsonl").read_text().splitlines()[0])
    assert (row["gold"], len(row["log_likelihoods"])) == (0, 2)
    assert row["task"] == f"blimp_{row['paradigm']}"


@pytest.mark.slow
def test_general_and_the_checkpoints_of_a_repo_from_the_local_hub(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    asked = []
    for number, ((repo, config), row) in enumerate(ROWS.items()):
        files = []
        for split in SPLITS.get(repo, ("train", "validation", "test")):
            file = tmp_path / f"{number}-{split}.jsonl"
            first = next(iter(row))  # a text: few-shot examples must differ from the example
            rows = [row | {first: f"{i} {row[first]}"} for i in range(8)]
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            files.append(f"{split}={file}")
        asked.append((repo, config, files))
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    hub = f"local:{tmp_path / 'hub'}"

    def python(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=environment(tmp_path / "home", PYTHONPATH=str(Path(__file__).parents[2]))
            | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-c", SEED, hub, tmp_path / "asked.json", *tiny_models)
    own = ("--limit", "2", "--device", "cpu", "--json")
    results = json.loads(
        python(
            *("-m", "l2t_hub.cli", "eval", tiny_models[0], tiny_models[1]),
            *("--suite", "general,probes", "--data", hub, *own),
        )
    )
    general, probes = results["evaluations"]
    assert (general["protocol"]["suite"], probes["protocol"]["suite"]) == ("general", "probes")
    tasks = {(task["task"], task["shots"]): task["examples"] for task in general["protocol"]["tasks"]}
    assert tasks == {**{(task, 0): 2 for task in ZERO_SHOT}, **{(task, 5): 2 for task in FIVE_SHOT}}
    assert len(general["comparisons"]) == 1
    assert not general["failed"]

    curve = json.loads(
        python("-m", "l2t_hub.cli", "eval", "some-org/tiny", "--checkpoints", "--hub", hub, *own)
    )
    assert [(model["label"], model["step"]) for model in curve["models"]] == [
        ("tiny@step-3", 3),
        ("tiny@step-12", 12),
    ]
    assert [model["phenomena"] for model in curve["models"]] == [
        model["phenomena"] for model in probes["models"]
    ]
