"""The benchmark of a build: its report has every figure, and costs of descendants are counted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from build_parts import Clock
from processes import run

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
@pytest.mark.slow
def test_every_contender_is_in_the_report(
    tmp_path: Path, repository: Path, corpus: Path, tokenizer: Path
) -> None:
    workers = [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]
    report_file = tmp_path / "report.json"
    command = [sys.executable, str(repository / "benchmarks" / "build.py"), str(corpus)]
    command += ["--tokenizer", str(tokenizer), "--repeats", "1", "--partitions", "3", "--views", "packed"]
    command += ["--workers", ",".join(map(str, workers)), "--amortise", "4", "--parts"]
    other_program = "import time; open('{out}', 'w').write('{source} {workers}'); time.sleep(0.5)"
    command += ["--against", f'{sys.executable} -c "{other_program}"']
    command += ["--json", str(report_file)]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(report_file.read_text())
    (source,) = report["sources"]
    kinds = ("library", "build", "start-up", "against")
    assert {(r["what"], r["workers"]) for r in source["results"]} == {(k, n) for k in kinds for n in workers}
    for result in source["results"]:
        assert result["seconds"] > 0
        assert result["peak_mb"]["main"] > 5
        assert (result["what"] == "build") == ("amortised_ratio" in result)
    assert ("worker" in source["results"][-3]["peak_mb"]) == (workers == [1, 2])
    assert {"reading", "encoding", "writing"} <= source["parts"]["within"].keys()
    assert {"reading", "encoding", "writing", "packing"} <= source["parts"]["alone"].keys()
    assert report["machine"]["tokenizers"]
    assert f"{source['tokens']:,} tokens; encode_batch = 1.00" in done.stdout


@linux
def test_cpu_time_and_memory_of_descendants_are_counted() -> None:
    """A descendant that outlives its parent counts too."""
    work = "x = bytearray(60_000_000)\nimport time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    orphan = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {work!r}]); time.sleep(0.3)"
    )
    cost = run([sys.executable, "-c", orphan], [0], {})
    assert cost.cpu_seconds >= 0.4
    assert max(cost.peak_mb["child"]) > 60 > max(cost.peak_mb["main"])


def test_a_part_inside_another_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("build_parts.time.process_time", lambda: now[0])
    clock = Clock()

    def spend(seconds: float) -> None:
        now[0] += seconds

    inner = clock.calls("inner", spend)

    def outer() -> None:
        spend(1)
        inner(5)
        spend(2)

    clock.calls("outer", outer)()
    assert clock.parts == {"inner": 5, "outer": 3}
    assert list(clock.steps("steps", iter([7, 8]))) == [7, 8]
