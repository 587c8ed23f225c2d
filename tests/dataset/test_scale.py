"""The simulated cluster accounts for every task and second, and costs at scale follow from the measured ones."""

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import scale
import simulate_cluster
from simulate_cluster import HOUR, Cluster, Simulation, Trouble

MEASURED: dict[str, Any] = {
    "source": {"tokens": 1_000_000, "documents": 900, "bytes": 1_400_000},
    "cpu_seconds_per_token": {"shards": 1e-6, "signatures": 1e-7},
    "start_cpu_seconds": 2.0,
    "other_cpu_seconds_per_token": 2e-8,
    "views": {
        "packed": {"bytes": 1_500_000, "tokens": 1_250_000, "rows": 1},
        "raw": {"bytes": 500_000, "tokens": 1, "rows": 1},
    },
    "tasks": [
        {"stage": "shards", "seconds": s, "source_tokens": 1_000_000, "documents": 9, "rank": 1}
        for s in (0.8, 1.0, 1.2)
    ],
}


CALM = Trouble("calm")


BAD = Trouble("bad", slow_share=0.2, node_hours=0.5, repair_hours=0.2)


TIMES = st.lists(st.floats(1, 2000), min_size=1, max_size=40)


CLUSTERS = st.builds(Cluster, st.integers(1, 5), st.integers(1, 8))


@settings(deadline=None, max_examples=60)
@given(TIMES, CLUSTERS, st.sampled_from([CALM, BAD]), st.integers(0, 9))
def test_every_task_ends_once_and_every_second_is_accounted_for(
    seconds: list[float], cluster: Cluster, trouble: Trouble, seed: int
) -> None:
    outcome = Simulation(seconds, cluster, trouble, seed).run()
    assert sorted(outcome.finished) == list(range(len(seconds)))
    assert outcome.useful >= sum(seconds) - 1e-6
    assert outcome.used >= outcome.useful
    assert (outcome.used > outcome.useful) == (outcome.attempts > len(seconds))
    assert outcome.wall >= max(seconds) - 1e-6
    assert outcome.wall * cluster.nodes * cluster.cores >= outcome.used - 1e-6
    assert Simulation(seconds, cluster, trouble, seed).run() == outcome, "the seed decides"


@settings(deadline=None, max_examples=60)
@given(TIMES, CLUSTERS)
def test_without_trouble_the_schedule_is_within_grahams_bound(seconds: list[float], cluster: Cluster) -> None:
    outcome = Simulation(seconds, cluster, CALM, 0).run()
    slots = cluster.nodes * cluster.cores
    assert outcome.attempts == len(seconds)
    assert outcome.used == outcome.useful == pytest.approx(sum(seconds))
    assert outcome.wall <= sum(seconds) / slots + max(seconds) + 1e-6, "Graham's bound"


def test_a_lost_node_costs_its_running_tasks_and_the_time_to_notice() -> None:
    trouble = Trouble("once", node_hours=0.5, notice_seconds=60, repair_hours=0.25)
    seed = next(s for s in range(99) if 100 < random.Random(s).expovariate(1 / (0.5 * HOUR)) < 900)
    lost = random.Random(seed).expovariate(1 / (0.5 * HOUR))
    outcome = Simulation([1000.0], Cluster(1, 1), trouble, seed).run()
    assert outcome.lost_nodes >= 1
    assert outcome.used - outcome.useful >= lost
    assert outcome.wall >= lost + 0.25 * HOUR + 1000


def test_smaller_partitions_lose_less_and_end_sooner() -> None:
    cluster = Cluster(4, 32)
    trouble = simulate_cluster.TROUBLES[-1]
    rows = [simulate_cluster.simulate(MEASURED, cluster, trouble, cuts, 20) for cuts in (1, 4, 16)]
    for coarse, fine in pairwise(rows):
        assert fine["lost_share"] < coarse["lost_share"]
        assert fine["median_hours"] < coarse["median_hours"]


def test_a_partitions_time_is_its_launch_its_start_and_its_tokens_at_a_measured_rate() -> None:
    times = simulate_cluster.task_seconds(MEASURED, 4, random.Random(1))
    assert len(times) == 92
    expected = {7.0 + 5.5e9 / 4 * rate for rate in (0.8e-6, 1e-6, 1.2e-6)}
    assert {round(t) for t in times} == {round(t) for t in expected}


def test_costs_scale_with_the_source() -> None:
    paper = scale.extrapolate(MEASURED)["23 shards"]
    assert paper["source_tokens"] == pytest.approx(126.5e9)
    assert paper["core_hours"] == pytest.approx({"shards": 126_500 / 3600, "signatures": 12_650 / 3600})
    assert paper["bytes"]["packed"] == pytest.approx(1.5 * 126.5e9)
    assert paper["upload_hours"]["packed, 1 Gbit/s"] == pytest.approx(1.5 * 126.5e9 * 8 / 1e9 / 3600)
    assert paper["one_process_hours"] == pytest.approx(2530 / 3600)
    trained = scale.extrapolate(MEASURED)["105B packed tokens"]
    assert trained["packed_tokens"] == pytest.approx(200_000 * 256 * 2048)


def test_both_scripts_run(tmp_path: Path, repository: Path, corpus: Path, tokenizer: Path) -> None:
    scripts, report = repository / "benchmarks", tmp_path / "scale.json"
    command = [sys.executable, scripts / "scale.py", corpus, "--tokenizer", tokenizer, "--partitions", "3"]
    done = subprocess.run(
        [*map(str, command), "--json", str(report)], capture_output=True, text=True, check=True
    )
    assert "source tokens per CPU second" in done.stdout
    measured = json.loads(report.read_text())
    assert measured["source"]["documents"] == len(corpus.read_text().splitlines())
    assert all(task["seconds"] > 0 for task in measured["tasks"])
    picture, rows = tmp_path / "plot.png", tmp_path / "rows.json"
    command = [sys.executable, scripts / "simulate_cluster.py", report, "--runs", "3"]
    subprocess.run(
        [*map(str, command), "--plot", str(picture), "--json", str(rows)], check=True, capture_output=True
    )
    assert len(json.loads(rows.read_text())["rows"]) == 12
    assert 5_000 < picture.stat().st_size < 150_000
