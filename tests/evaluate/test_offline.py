"""The probes need only their folder: no network, no l2t_hub, and nothing written to the working directory."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from l2t_hub.evaluate import evaluate
from l2t_hub.evaluate.suites import PROBES

NO_NETWORK = """
import socket, sys
from pathlib import Path
def refuse(*args, **kwargs):
    Path(sys.argv[2]).write_text(f"tried to reach {args}")
    raise OSError("no network here")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from l2t_hub.evaluate import evaluate
print(evaluate([sys.argv[1]], limit=2, device="cpu").models[0].micro.total)
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with empty caches and without offline switches."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return {**kept, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", **more}


def test_evaluating_local_models_uses_no_network_and_writes_nothing_here(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    here, home, tried = tmp_path / "here", tmp_path / "home", tmp_path / "tried"
    here.mkdir()
    local = shutil.copytree(tiny_models[0], tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, os.path.relpath(local, here), str(tried)],
        cwd=here,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "24\n", done.stderr
    assert done.stderr == ""
    assert not tried.exists()
    assert list(here.iterdir()) == []
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_lm_eval_without_l2t_hub_runs_the_suite_from_another_directory(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    suite = shutil.copytree(PROBES, tmp_path / "elsewhere" / "probes")
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    command = [
        *(
            str(Path(sys.executable).with_name("lm_eval")),
            "--include_path",
            str(suite),
            "--tasks",
            "l2t_probes",
        ),
        *("--model", "hf", "--model_args", f"pretrained={tiny_models[0]},softmax_dtype=float32"),
        *("--device", "cpu", "--batch_size", "32", "--limit", "5", "--output_path", str(tmp_path / "out")),
    ]
    done = subprocess.run(
        command,
        cwd=here,
        env=environment(home, HF_HUB_OFFLINE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(here.iterdir()) == []
    (file,) = (tmp_path / "out").rglob("results*.json")
    theirs = json.loads(file.read_text())["results"]
    ours = evaluate([str(tiny_models[0])], limit=5, device="cpu").models[0]
    assert theirs["l2t_probes"]["acc,none"] == ours.micro.accuracy.value
    for row in ours.phenomena:
        assert theirs[f"l2t_probes_{row.phenomenon}"]["acc,none"] == row.accuracy.value
