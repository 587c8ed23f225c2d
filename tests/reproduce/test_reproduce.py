"""`l2t reproduce` confirms an unchanged release, and finds and names any change to one."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from tiny_release import make_dataset, make_model, tiny_recipe

from l2t_hub.artifacts import sha256_of
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import load_recipe
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.reproduce import ReproduceReport, reproduce
from l2t_hub.reproduce.compare_model import comparable_step
from l2t_hub.reproduce.compare_shards import first_difference
from l2t_hub.resources import PACKAGE

Copy = Callable[[Path], Path]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tiny_recipe("tiny-l2t"), tmp_path_factory.mktemp("release") / "data")


@pytest.fixture(scope="module")
def model(dataset: Path) -> Path:
    return make_model(tiny_recipe("tiny-l2t"), dataset, dataset.parent / "model")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return lambda directory: Path(shutil.copytree(directory, tmp_path / directory.name))


def again(target: Any, **arguments: Any) -> ReproduceReport:
    return reproduce(target, workers=1, progress=SilentReporter(), **arguments)


def edit(file: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    tree = json.loads(file.read_text(encoding="utf-8"))
    change(tree)
    file.write_text(json.dumps(tree), encoding="utf-8")


def change_text(shard: Path, row: int) -> None:
    """Change one letter in a row's text."""
    table = pq.read_table(shard)
    texts = table.column("text").to_pylist()
    texts[row] = texts[row][:-1] + "Q"
    column = table.schema.get_field_index("text")
    pq.write_table(table.set_column(column, table.schema.field("text"), pa.array(texts)), shard)


# ---- datasets


def test_an_untouched_dataset_is_reproduced_in_every_shard(dataset: Path, tmp_path: Path) -> None:
    manifest = read_manifest(dataset)
    report = again(dataset, out=tmp_path / "out")
    assert report.equal, report.summary()
    assert report.first_difference is None
    compared = {check.what for check in report.checks}
    assert {entry.path for entry in manifest.shards} <= compared
    assert {
        "fingerprint",
        "tokenizer/tokenizer.json",
        "ledger of partition 2",
        "source: 180 files",
    } <= compared
    assert report.scope == (
        f"3 of 3 partitions rebuilt, {len(manifest.shards)} of {len(manifest.shards)} shards compared"
    )
    assert f"reproduced: {len(report.checks)} comparisons, all equal" in report.summary()
    assert json.loads(
        (tmp_path / "out" / "reproduce.json").read_text(encoding="utf-8")
    ) == report.as_dict() | {
        "checks": [vars(check) for check in report.checks],
        "environment": [],
        "left_out": [],
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.table())
    assert manifest.shards[0].path in console.export_text()


def test_a_sample_builds_only_its_partitions(dataset: Path) -> None:
    manifest = read_manifest(dataset)
    report = again(dataset, sample=1)
    assert report.equal, report.summary()
    mine = [entry.path for entry in manifest.shards if entry.partition == 1]  # the middle one of three
    assert [check.what for check in report.checks if check.what.startswith("data/")] == mine
    assert report.scope.startswith("1 of 3 partitions rebuilt")
    assert (
        next(check.note for check in report.checks if check.what == "tokenizer")
        == "the published one was used"
    )


def test_what_a_build_computes_beforehand_is_computed_again(tmp_path: Path) -> None:
    """A raw share in tokens needs a threshold, and a held-out document's copy is dropped: both by the whole source."""
    (tmp_path / "text.jsonl").write_text(_copies_of_the_sample(), encoding="utf-8")
    recipe = tiny_recipe(
        "tokens", mixture={"raw_share": 0.4, "unit": "tokens"}, source={"path": str(tmp_path / "text.jsonl")}
    )
    directory = make_dataset(recipe, tmp_path / "data")
    manifest = read_manifest(directory)
    assert manifest.mixture["solved"]
    assert any("near-identical" in reason for row in manifest.ledger for reason in row["dropped"])
    for sample in (None, 2):
        report = again(directory, sample=sample, source=str(tmp_path / "text.jsonl"))
        assert report.equal, report.summary()


def _copies_of_the_sample() -> str:
    """The bundled documents and, under other ids, the first forty once more."""
    folder = PACKAGE / "corpus" / "sample"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.txt"))]
    return "".join(
        json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts + texts[:40])
    )


def test_a_sample_larger_than_the_dataset_is_all_of_it(dataset: Path) -> None:
    assert again(dataset, sample=10_000).scope.startswith("3 of 3 partitions")


def test_a_changed_row_is_found(dataset: Path, copy: Copy, tmp_path: Path) -> None:
    directory = copy(dataset)
    entry = next(e for e in read_manifest(directory).shards if e.config == "raw" and e.rows > 5)
    change_text(directory / entry.path, 5)
    report = again(directory, out=tmp_path / "out")
    assert not report.equal
    assert [check.what for check in report.checks if not check.equal] == [entry.path, "files"]
    note = report.first_difference.note  # type: ignore[union-attr]
    assert note.startswith(
        "the published file is not the one its manifest names; row 5, column text: from character "
    )
    assert "'Q' published" in note
    assert "first difference: " + entry.path in report.summary()
    assert report.as_dict()["first_difference"]["what"] == entry.path
    kept = list((tmp_path / "out" / "differing").iterdir())
    assert [sha256_of(path) for path in kept] == [entry.sha256], "the shard built here is kept"

    edit(directory / "l2t_manifest.json", lambda m: _set_hash(m, entry.path, directory))
    note = again(directory).first_difference.note  # type: ignore[union-attr]
    assert note.startswith("row 5, column text: ")


def _set_hash(manifest: Any, path: str, directory: Path) -> None:
    for entry in manifest["shards"]:
        if entry["path"] == path:
            entry["sha256"] = sha256_of(directory / path)


def test_a_missing_shard_and_one_too_many_are_found(dataset: Path, copy: Copy) -> None:
    directory = copy(dataset)
    shards = read_manifest(directory).shards
    (directory / shards[0].path).unlink()
    edit(directory / "l2t_manifest.json", lambda m: m["shards"].pop())
    wrong = [c for c in again(directory).checks if not c.equal and c.what != "files"]
    assert [(check.what, check.published, check.here) for check in wrong] == [
        (shards[0].path, "missing", shards[0].sha256[:12]),
        (
            f"{Path(shards[-1].path).parent.name}-validation-00000.parquet of partition 2",
            "missing",
            "rebuilt",
        ),
    ]


def test_a_manifest_with_another_recipe_or_ledger_is_found(dataset: Path, copy: Copy) -> None:
    directory = copy(dataset)

    def change(manifest: Any) -> None:
        manifest["recipe"]["mixture"]["raw_share"] = 0.9
        manifest["partitions"][0]["ledger"][0]["in"] += 1

    edit(directory / "l2t_manifest.json", change)
    report = again(directory)
    assert report.first_difference is not None
    assert report.first_difference.what == "fingerprint"
    ledger = next(check for check in report.checks if check.what == "ledger of partition 0")
    assert not ledger.equal
    assert "published" in ledger.note
    assert any(check.what.startswith("data/") and not check.equal for check in report.checks)


def test_versions_that_differ_are_named_and_decide_nothing(dataset: Path, copy: Copy) -> None:
    directory = copy(dataset)
    edit(directory / "l2t_manifest.json", lambda m: m["made_by"].update(pyarrow="1.2.3"))
    report = again(directory, sample=1)
    differing = [check.note for check in report.checks if not check.equal]
    assert all("does not follow from the manifest" in note for note in differing), (
        "the manifest contradicts itself; all shards are equal"
    )
    assert report.environment == (f"version of pyarrow changed from 1.2.3 to {pa.__version__}",)
    assert "This machine differs" in report.summary()


def test_a_source_that_moved_or_changed_is_named(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "l2t_hub" / "corpus" / "sample" / "letters"
    text = Path(shutil.copytree(sample, tmp_path / "here"))
    recipe = tiny_recipe("letters", source={"path": str(text)}, build={"partitions": 1})
    dataset = make_dataset(recipe, tmp_path / "data")
    text.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="opens no file of this machine") as caught:
        again(dataset)
    assert "--source" in str(caught.value.hint)
    assert again(dataset, source=str(tmp_path / "moved")).equal
    with pytest.raises(UsageError, match="no such file or directory"):
        again(dataset, source=str(tmp_path / "nowhere"))

    (tmp_path / "moved" / "beans-by-post.txt").write_text("Other beans entirely.", encoding="utf-8")
    (tmp_path / "moved" / "sod-house.txt").unlink()
    report = again(dataset, source=str(tmp_path / "moved"))
    assert [check.what for check in report.checks] == ["source beans-by-post.txt", "source sod-house.txt"]
    assert report.first_difference.what == "source beans-by-post.txt"  # type: ignore[union-attr]
    assert report.checks[1].here == "missing"
    assert report.scope.startswith("nothing rebuilt")


def test_a_published_tokenizer_that_is_another_is_refused(dataset: Path, copy: Copy) -> None:
    directory = copy(dataset)
    with (directory / "tokenizer" / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(UserError, match="not the tokenizer file that the manifest names"):
        again(directory, sample=1)


# ---- models


def test_a_models_run_is_repeated_to_the_last_bit(model: Path) -> None:
    report = again(model)
    assert report.equal, report.summary()
    assert report.kind == "model"
    assert "to the last bit" in report.rule
    logged = [
        json.loads(line) for line in (model / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    said = {check.what: check.here for check in report.checks}
    for entry in logged:
        for key in ("loss", "eval_loss", "grad_norm", "learning_rate"):
            if key in entry:
                assert said[f"step {entry['step']}: {key}"] == repr(entry[key])
    assert said["weights after the last step"] == sha256_of(model / "model.safetensors")[:12]


def test_steps_reach_to_a_logged_step(model: Path) -> None:
    log = [json.loads(line) for line in (model / "train_log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [comparable_step(log, steps) for steps in (2, 3, 5, 100, None)] == [2, 2, 4, 6, 6]
    late = [entry | {"step": entry["step"] + 100} for entry in log]
    assert comparable_step(late, None) == 102, "the first logged step, if 20 are too few"
    with pytest.raises(UsageError, match="first training loss was logged at step 2"):
        again(model, steps=1)
    report = again(model, steps=3)
    assert report.scope == "2 of 6 steps repeated"
    assert report.equal, report.summary()
    assert "weights" not in report.checks[-1].what
    assert "Not compared: the card, README.md; the weights that a repeated run gives" in report.summary()


def _other_loss(directory: Path, factor: float) -> None:
    log = directory / "train_log.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["step"] == 4 and "loss" in line:
            line["loss"] *= factor
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    edit(directory / "training.json", lambda r: r["files"].update({log.name: sha256_of(log)}))


def test_the_last_bit_counts_unless_the_user_gives_a_tolerance(model: Path, copy: Copy) -> None:
    directory = copy(model)
    _other_loss(directory, 1 + 2**-50)
    report = again(directory, steps=4)
    assert not report.equal
    assert report.first_difference.what == "step 4: loss"  # type: ignore[union-attr]
    assert "relative difference" in report.first_difference.note  # type: ignore[union-attr]

    edit(directory / "training.json", lambda r: r["versions"].update(torch="1.0"))
    report = again(directory, steps=4)
    assert not report.equal, "the record says what it likes of its platform, and must not choose the rule"
    assert "add --tolerance 0.0001" in report.rule
    report = again(directory, steps=4, tolerance=1e-4)
    assert report.equal, report.summary()
    assert report.rule == "Losses may differ by 0.0001 of their value, as --tolerance asks."
    assert report.environment == (f"version of torch changed from 1.0 to {torch.__version__}",)
    assert not any("grad_norm" in check.what for check in report.checks)

    _other_loss(directory, 1.001)
    loose = again(directory, steps=4, tolerance=1e-4)
    assert loose.first_difference.what == "step 4: loss"  # type: ignore[union-attr]
    for wrong in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="must be between 0 and 1"):
            again(directory, tolerance=wrong)


def test_other_weights_are_found(model: Path, copy: Copy) -> None:
    directory = copy(model)
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    for steps in (2, 6):
        report = again(directory, steps=steps)
        assert not report.equal, "also if the weights of the last step are not made again"
        assert "model.safetensors: its SHA-256 is" in report.first_difference.note  # type: ignore[union-attr]
    assert [check.what for check in report.checks if not check.equal] == [
        "files",
        "weights after the last step",
    ]
    edit(directory / "training.json", lambda r: r["files"].update({weights.name: sha256_of(weights)}))
    assert again(directory, steps=2).equal, "what a forger recorded is found by repeating all steps"
    assert again(directory, steps=6).first_difference.what == "weights after the last step"  # type: ignore[union-attr]


def test_the_recorded_number_of_threads_is_used(
    model: Path, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = copy(model)
    before = torch.get_num_threads()
    edit(directory / "training.json", lambda r: r["hardware"].update(threads=before + 1))
    seen: list[int] = []

    def interrupted(*_: Any) -> None:
        seen.append(torch.get_num_threads())
        raise UserError("enough")

    monkeypatch.setattr("l2t_hub.train.train", interrupted)
    with pytest.raises(UserError, match="enough"):
        again(directory)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_the_data_of_a_model_may_be_elsewhere_but_must_be_the_same(
    model: Path, dataset: Path, copy: Copy
) -> None:
    directory, data = copy(model), copy(dataset)
    edit(directory / "training.json", lambda r: r["dataset"].update(name="/nowhere/at/all"))
    with pytest.raises(UserError, match="dataset is not on this machine") as caught:
        again(directory)
    assert "--data" in str(caught.value.hint)
    assert again(directory, data=str(data), steps=2).equal
    edit(data / "l2t_manifest.json", lambda m: m.update(fingerprint="0" * 64))
    report = again(directory, data=str(data))
    assert [check.what for check in report.checks if not check.equal] == ["dataset fingerprint"]
    assert not report.equal
    assert report.scope.startswith("nothing trained")


def test_a_model_of_a_run_uses_the_dataset_beside_it_and_never_a_strangers(
    model: Path, dataset: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(model, tmp_path / "models" / "tiny-l2t"))
    published = {"name": "rehearsal/tiny-l2t", "repository": "rehearsal/tiny-l2t", "revision": "a" * 40}
    edit(directory / "training.json", lambda r: r.update(dataset=published))
    with pytest.raises(UserError) as caught:
        again(directory)
    assert caught.value.message == (
        "rehearsal/tiny-l2t: this model's dataset was published on a local Hub; on https://huggingface.co, the name "
        "is a stranger's"
    )
    assert caught.value.hint == (
        f"Give the dataset with --data, or its Hub with --hub local:{tmp_path.resolve() / 'hub'}."
    )
    beside = Path(shutil.copytree(dataset, tmp_path / "datasets" / "tiny-l2t"))
    assert again(directory, steps=2).equal
    edit(beside / "l2t_manifest.json", lambda m: m.update(fingerprint="0" * 64))
    with pytest.raises(UserError, match="is a stranger's"):
        again(directory)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [({"sample": 1}, "model"), ({"source": "x"}, "model"), ({"trust_modules": ["a" * 64]}, "model"),
     ({"steps": 3}, "dataset"), ({"data": "x"}, "dataset"), ({"tolerance": 0.1}, "dataset"),
     ({"data": "x"}, "recipe"), ({"trust_modules": ["a" * 64]}, "recipe")],
)  # fmt: skip
def test_an_argument_that_means_nothing_is_refused(
    model: Path, dataset: Path, arguments: dict[str, Any], what: str
) -> None:
    target = {"model": model, "dataset": dataset, "recipe": tiny_recipe("tiny-l2t")}[what]
    option = f"--{next(iter(arguments)).replace('_', '-')}"
    with pytest.raises(UsageError) as caught:
        again(target, **arguments)
    assert (caught.value.message, caught.value.hint) == (
        f"{option} does not apply to a {what}",
        f"Leave {option} out.",
    )


# ---- recipes, and what is neither


def test_a_recipe_is_built_twice() -> None:
    report = again(tiny_recipe("twice", source={"limit": 40}))
    assert report.equal, report.summary()
    assert (report.kind, report.target) == ("recipe", "twice")
    assert report.scope.startswith("built twice, with 1 worker and with 2: 3 of 3 partitions")


def test_the_source_of_a_recipe_is_the_one_given(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.parquet"):
        again(tiny_recipe("twice"), source=str(tmp_path / "nowhere.parquet"))


def test_a_target_that_is_no_release_is_an_error(tmp_path: Path, model: Path, copy: Copy) -> None:
    with pytest.raises(UsageError, match="nano has several variants: nano-raw, nano-l2t"):
        again("nano")
    with pytest.raises(UsageError, match="has several variants"):
        again(load_recipe("nano"))
    with pytest.raises(UsageError, match="neither a dataset nor a finished model"):
        again(tmp_path)
    with pytest.raises(UsageError, match="there: no such file or directory"):
        again("./not/there")
    with pytest.raises(UsageError, match="at least one partition"):
        again(tmp_path, sample=0)
    with pytest.raises(UsageError, match="--kind space: must be one of dataset, model"):
        again("lab/tiny", kind="space")
    with pytest.raises(UsageError, match="--kind does not apply to a directory"):
        again(model, kind="model")
    with pytest.raises(UsageError, match="at least one step"):
        again(tmp_path, steps=0)
    directory = copy(model)
    (directory / "training.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as a training record"):
        again(directory)
    shutil.copy(model / "training.json", directory)
    (directory / "train_log.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="no training loss"):
        again(directory)


# ---- the first difference of two shards


def shard(folder: Path, name: str, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, folder / name, **options)
    return folder / name


def test_differences_of_shards_in_words(tmp_path: Path) -> None:
    rows = 3000
    table = pa.table({"id": [str(n) for n in range(rows)], "ids": [[n, n + 1] for n in range(rows)]})
    base = shard(tmp_path, "base", table)
    recoded = shard(tmp_path, "recoded", table, compression="gzip", row_group_size=7)
    assert first_difference(base, recoded).startswith("3,000 rows, all equal; only their encoding differs")
    shorter = shard(tmp_path, "shorter", table.slice(0, 2500), row_group_size=100)
    assert first_difference(base, shorter) == ("3,000 rows published, 2,500 here; the first 2,500 are equal")
    other = table.set_column(1, "ids", pa.array([[n, n + 1 + (n == 2047)] for n in range(rows)]))
    assert first_difference(base, shard(tmp_path, "other", other, row_group_size=999)) == (
        "row 2,047, column ids: [2047, 2048] published, [2047, 2049] here"
    )
    typed = table.set_column(0, "id", pc.cast(table.column("id"), pa.large_string()))
    assert first_difference(base, shard(tmp_path, "typed", typed)) == (
        "column id: string published, large_string here"
    )
    assert first_difference(base, shard(tmp_path, "less", table.select(["id"]))).endswith("missing here")
    broken = tmp_path / "broken"
    broken.write_bytes(b"no parquet")
    assert first_difference(broken, base).startswith("the published file is not readable")


def test_a_long_value_is_shown_from_where_it_differs(tmp_path: Path) -> None:
    one = shard(tmp_path, "one", pa.table({"text": ["a" * 500 + "b" + "c" * 500]}))
    two = shard(tmp_path, "two", pa.table({"text": ["a" * 500 + "d" + "c" * 500]}))
    said = first_difference(one, two)
    assert said.startswith("row 0, column text: from character 500 on 'bccc")
    assert "'dccc" in said
    assert len(said) < 250


# ---- names on a Hub

ON_THE_HUB = """
import sys
from l2t_hub.hub.connect import connected
with connected(f"local:{sys.argv[1]}"):
    from l2t_hub.dataset.progress import SilentReporter
    from l2t_hub.errors import UserError
    from l2t_hub.publish.cards import write_model_card
    from l2t_hub.publish.release import release
    from l2t_hub.reproduce import reproduce
    quiet = lambda line: None
    data = release(sys.argv[2], "lab/tiny-data", hub=f"local:{sys.argv[1]}", say=quiet)
    from tiny_release import make_model, tiny_recipe
    make_model(tiny_recipe("tiny-l2t"), f"lab/tiny-data@{data.revision}", sys.argv[3])
    write_model_card(sys.argv[3])
    release(sys.argv[3], "lab/tiny-l2t", hub=f"local:{sys.argv[1]}", say=quiet)
    for name, how in (("lab/tiny-data", {"sample": 1}), (f"lab/tiny-data@{data.revision}", {}), ("lab/tiny-l2t", {})):
        report = reproduce(name, workers=1, progress=SilentReporter(), **how)
        print(report.equal, report.kind, report.scope, sep=" | ")
    release(sys.argv[2], "lab/tiny-l2t", hub=f"local:{sys.argv[1]}", say=quiet)  # the name of the model, too
    print(reproduce("lab/tiny-l2t", sample=1, workers=1, progress=SilentReporter()).kind)
    print(reproduce("lab/tiny-l2t", kind="model", steps=2, progress=SilentReporter()).scope)
    from l2t_hub.train.verify_model import verify_release
    for kind in (None, "model"):
        verified = verify_release("lab/tiny-l2t", kind=kind, say=quiet)
        print(verified.kind, verified.summary().split(":")[0] == verified.release)
    for name, how in (
        ("lab/nothing", {}), ("lab/tiny-data", {"kind": "model"}), ("lab/tiny-l2t", {"steps": 2})
    ):
        try:
            reproduce(name, progress=SilentReporter(), **how)
        except UserError as error:
            print(error.message, error.hint)
"""


def test_published_releases_are_reproduced_by_name(dataset: Path, copy: Copy, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in Path(__file__).parents[1:3])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ON_THE_HUB,
            str(tmp_path / "hub"),
            str(copy(dataset)),
            str(tmp_path / "model"),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shards = len(read_manifest(dataset).shards)
    said = done.stdout.splitlines()
    assert said[0].startswith("True | dataset | 1 of 3 partitions rebuilt")
    assert said[1] == f"True | dataset | 3 of 3 partitions rebuilt, {shards} of {shards} shards compared"
    assert said[2] == "True | model | 6 of 6 steps repeated"
    assert said[3:7] == ["dataset", "2 of 6 steps repeated", "dataset True", "model True"]
    assert "has no dataset or model of that name" in said[7]
    assert "has no model of that name" in said[8]
    assert said[9] == (
        "--steps does not apply to the dataset lab/tiny-l2t "
        "Leave --steps out, or add --kind model for a model of that name."
    )
