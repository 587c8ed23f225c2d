"""Models on a Hub that cannot be scored: what is wrong is named before anything runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from release_hub import WatchedHub, put
from tiny_models import make_tiny_model

CASES = {
    "org/none": "has no model org/none",
    "org/good@nope": "has no revision nope",
    "org/empty": "it has no safetensors weights",
    "org/pickle": "it has no safetensors weights",
}


@pytest.mark.slow
def test_what_a_hub_lacks_is_named_in_a_sentence(hub: WatchedHub, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    good = {file.name: file.read_bytes() for file in model.iterdir()}
    pickle = {name: content for name, content in good.items() if not name.endswith(".safetensors")}
    put(hub, "model", "org/good", good)
    put(hub, "model", "org/empty", {"README.md": b"# Nothing"})
    put(hub, "model", "org/pickle", {**pickle, "pytorch_model.bin": b"\x80\x04."})
    for name, problem in CASES.items():
        command = [sys.executable, "-m", "l2t_hub.cli", "eval", str(model), name, "--limit", "1"]
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "scores.json")],
            env=hub.environment(tmp_path / "home") | {"OMP_NUM_THREADS": "1"},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert name.partition("@")[0] in done.stderr
        assert problem in done.stderr, done.stderr
