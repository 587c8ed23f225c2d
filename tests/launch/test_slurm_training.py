"""Trainings on Slurm: what is submitted, and a stand-in that runs it, with pre-emptions, to the end."""

import json
import sys
from pathlib import Path

import pytest
from training_cluster import TrainingCluster

from l2t_hub.artifacts import sha256_of
from l2t_hub.cli.app import app
from l2t_hub.errors import UsageError, UserError
from l2t_hub.launch import slurm_job
from l2t_hub.train.checkpoints import complete_checkpoints

TRAIN = ["train", "tiny.yaml", "--data", "data", "--out", "a model"]
KEYS = {
    "partition": "gpu", "account": "lab", "qos": "high", "nodes": "2", "gpus_per_node": "2", "cpus_per_process": "4",
    "train_hours": "1.5", "train_memory_gb": "64", "save_seconds": "300", "sbatch": "{constraint: a100|h100}",
}  # fmt: skip


def l2t(*arguments: str) -> None:
    app([*TRAIN, *arguments], standalone_mode=False)


def submit(*arguments: str) -> None:
    l2t("--on", "slurm", *arguments)


def test_the_script_asks_for_what_the_recipe_says(
    workplace: Path, cluster: TrainingCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [f"--set=cluster.{key}={value}" for key, value in KEYS.items()]
    submit(*keys, "--set=train.per_device_train_batch_size=1", "--set=cluster.setup=export MODULE=loaded")
    said = capsys.readouterr()
    script = cluster.submitted["script"]
    expected = {
        "job-name": "l2t-tiny", "partition": "gpu", "account": "lab", "qos": "high", "nodes": "2",
        "ntasks-per-node": "2", "gpus-per-node": "2", "cpus-per-task": "4", "mem": "64G", "time": "01:30:00",
        "signal": "USR1@300", "open-mode": "append", "constraint": "a100|h100",
    }  # fmt: skip
    directives = [f"#SBATCH --{name}={value}" for name, value in expected.items()] + ["#SBATCH --requeue"]
    lines = script.splitlines()
    assert sorted(line for line in lines if line.startswith("#SBATCH")) == sorted(directives)
    assert lines.index("export MODULE=loaded") < next(n for n, line in enumerate(lines) if "srun" in line)
    files = workplace / "a model" / "checkpoints" / "slurm"
    assert cluster.submitted["arguments"] == [
        "--parsable",
        f"--output={files}/%j.out",
        str(files / "train.sh"),
    ]
    assert "submitted as Slurm job 17" in said.out
    assert "export MODULE=loaded" in said.err, "a command of the recipe is said"


def test_print_submits_nothing_and_writes_nothing(
    workplace: Path, cluster: TrainingCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    submit("--print")
    shown = capsys.readouterr().out
    submit("--print", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["script"].strip() in shown
    assert printed["command"][0] == "sbatch"
    assert cluster.submissions() == 0
    assert not (workplace / "a model").exists()


@pytest.mark.parametrize(
    ("step", "code", "queued_again"),
    [
        ("mkdir -p 'CHECKPOINTS/checkpoint-7'; exit 138", 0, True),
        ("exit 138", 1, False),  # no step further: it would go on for ever
        ("mkdir -p 'CHECKPOINTS/checkpoint-7'; exit 0", 0, False),
        ("mkdir -p 'CHECKPOINTS/checkpoint-7'; exit 1", 1, False),
        (
            "mkdir -p 'CHECKPOINTS/checkpoint-7'; exit 143",
            143,
            False,
        ),  # scancel; Slurm itself requeues the pre-empted
        ("exit 2", 2, False),
    ],
)
def test_only_an_announced_stop_with_progress_is_queued_again(
    workplace: Path, cluster: TrainingCluster, step: str, code: int, queued_again: bool
) -> None:
    submit()
    checkpoints = workplace / "a model" / "checkpoints"
    (checkpoints / "checkpoint-5").mkdir()
    # In the stand-in's script the folder's name is quoted as bash wants it.
    cluster.step(step.replace("'CHECKPOINTS", "'" + str(checkpoints).replace("'", "'\\''")))
    assert cluster.run()[0] == code
    assert cluster.requeued == queued_again


def test_words_arrive_as_they_were_typed(workplace: Path, cluster: TrainingCluster, tmp_path: Path) -> None:
    hostile = "\n#SBATCH --wrap=x\n$(touch hacked) `touch hacked`; touch hacked '\" \\"
    got = tmp_path / "got.json"
    cluster.step(
        f"""{sys.executable} -c 'import json, sys; json.dump(sys.argv[1:], open("{got}", "w"))' "$@" """
    )
    submit(f"--set=description={json.dumps(hostile)}")
    code, output = cluster.run()
    assert code == 0, output
    words = json.loads(got.read_text())
    assert words == [
        sys.executable, "-m", "l2t_hub.cli", "train", "tiny.yaml", "--data=data", "--out=a model",
        f"--set=description={json.dumps(hostile)}",
    ]  # fmt: skip
    submit("--out", f"out{hostile.replace('/', '')}", "--print")
    assert not list(workplace.parent.rglob("hacked"))


@pytest.mark.parametrize(
    "key",
    [
        "partition=gpu\n#SBATCH --wrap=id", "account=lab --wrap=id", "qos=$(id)", "setup=true\ntouch hacked",
        "sbatch={comment: 'x --wrap=id'}", "sbatch={\"x\\n#SBATCH --y\": z}", "sbatch={wrap: id}", "nodes=0",
        "sbatch={constraint: \"a\\ntouch hacked\"}", "gpus_per_node=1000", "train_hours=1000000", "save_seconds=99999",
    ],
)  # fmt: skip
def test_a_recipe_adds_no_line_and_no_option(workplace: Path, cluster: TrainingCluster, key: str) -> None:
    name, _, value = key.partition("=")
    quoted = value if value.startswith("{") or value.isdigit() else json.dumps(value)
    with pytest.raises(UsageError, match=f"cluster.{name}"):
        submit(f"--set=cluster.{name}={quoted}")
    assert cluster.submissions() == 0


def test_no_secret_is_submitted(
    workplace: Path,
    cluster: TrainingCluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secrets = {
        "HF_TOKEN": "hf_secretsecretsecret",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "DB_URL": "x://me:pw@host",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    submit()
    first = cluster.submitted
    assert not set(secrets) & set(first["environment"])
    submit("--out", "other", "--push", "org/name", "--push-every", "2", "--private")
    second = cluster.submitted
    assert set(secrets) & set(second["environment"]) == {"HF_TOKEN"}
    shown = capsys.readouterr()
    for text in (first["script"], second["script"], shown.out, shown.err):
        assert not [value for value in secrets.values() if value in text]
    assert "--push=org/name --push-every=2 --private" in second["script"]


def test_nothing_is_submitted_twice(
    workplace: Path, cluster: TrainingCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    submit()
    (cluster.home / "queue").write_text("17\n")
    submit()
    assert "in the queue as Slurm job 17, nothing is submitted" in capsys.readouterr().out
    assert cluster.submissions() == 1
    (cluster.home / "queue").unlink()
    submit()
    assert cluster.submissions() == 2


def test_what_cannot_be_trained_is_not_submitted(workplace: Path, cluster: TrainingCluster) -> None:
    with pytest.raises(UsageError, match="not a multiple of"):
        submit("--set=cluster.nodes=3")
    with pytest.raises(UsageError, match="start over whenever"):
        submit("--fresh")
    with pytest.raises(UsageError, match="Did you mean 'slurm'"):
        l2t("--on", "slrum")
    with pytest.raises(UsageError, match="--print applies only with --on"):
        l2t("--print")
    (workplace / "a model").mkdir()
    (workplace / "a model" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds no training run"):
        submit()
    assert cluster.submissions() == 0


def test_a_slurm_that_is_missing_refuses_or_hangs_is_a_sentence(
    workplace: Path, cluster: TrainingCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cluster.home / "refuse").write_text(
        "sbatch: error: Invalid account\x1b[2J or account/partition combination"
    )
    with pytest.raises(UserError, match="sbatch refused the job: sbatch: error: Invalid account") as refused:
        submit()
    assert "\x1b" not in refused.value.message
    (cluster.home / "refuse").unlink()
    (cluster.home / "answer").write_text("welcome to the cluster")
    with pytest.raises(UserError, match="did not name a job"):
        submit()
    (cluster.home / "hang").touch()
    monkeypatch.setattr(slurm_job, "_ANSWER_SECONDS", 0.3)
    with pytest.raises(UserError, match="did not answer"):
        submit()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(UserError, match="this machine has no sbatch"):
        submit()


@pytest.mark.slow
def test_a_preempted_training_ends_with_the_weights_of_an_undisturbed_one(
    workplace: Path, cluster: TrainingCluster
) -> None:
    l2t("--out", "undisturbed")
    submit("--set=cluster.gpus_per_node=0")
    out = workplace / "a model"
    for number in (1, 2):
        stop = 100 * number
        code, output = cluster.run(lambda: steps(out) >= stop)  # noqa: B023
        assert code == 0, output
        assert cluster.requeued, output
        assert "stopped by SIGUSR1" in output
        assert steps(out) < 400
    code, output = cluster.run()
    assert code == 0, output
    assert not cluster.requeued
    assert sha256_of(out / "model.safetensors") == sha256_of(workplace / "undisturbed" / "model.safetensors")
    submit("--set=cluster.gpus_per_node=0")
    assert cluster.submissions() == 1, "it is finished"


@pytest.mark.slow
def test_two_processes_are_preempted_and_finish(workplace: Path, cluster: TrainingCluster) -> None:
    submit("--set=cluster.gpus_per_node=2", "--set=train.per_device_train_batch_size=1")
    out = workplace / "a model"
    code, output = cluster.run(lambda: steps(out) >= 40)
    assert (code, cluster.requeued) == (0, True), output
    code, output = cluster.run()
    assert (code, cluster.requeued) == (0, False), output
    assert json.loads((out / "training.json").read_text())["batch"]["devices"] == 2


def steps(out: Path) -> int:
    """The step of the newest checkpoint."""
    newest = next(iter(complete_checkpoints(out)), None)
    return int(newest.name.removeprefix("checkpoint-")) if newest else 0
