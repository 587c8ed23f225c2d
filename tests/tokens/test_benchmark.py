"""The benchmark runs, and its report has the figures that the documentation quotes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2t_hub.tokens.train_bpe import train_bpe

from .families import LINES


def test_encode_benchmark_reports_every_contender(tmp_path: Path, repository: Path) -> None:
    train_bpe(LINES, 300).save_pretrained(tmp_path / "tokenizer")
    pq.write_table(pa.table({"text": LINES * 20}), tmp_path / "text.parquet")
    command = [sys.executable, str(repository / "benchmarks" / "encode.py"), str(tmp_path / "text.parquet")]
    command += [
        "--tokenizer",
        str(tmp_path / "tokenizer"),
        "--repeats",
        "1",
        "--json",
        str(tmp_path / "report.json"),
    ]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    cores = {1, 2} if len(os.sched_getaffinity(0)) > 1 else {1}
    contenders = {(result["method"], result["cores"]) for result in report["results"]}
    assert contenders == {(method, n) for method in ("library", "words") for n in cores}
    assert all(result["cold_tokens_per_second"] > 0 for result in report["results"])
    assert f"{report['tokens']:,} tokens" in done.stdout
