"""Simulate the paper's 23-shard build on a cluster with stragglers and lost nodes, event by event.

python benchmarks/simulate_cluster.py benchmarks/results/scale.json [--nodes N] [--cores N] [--runs N]
    [--json FILE] [--plot FILE]

The first argument is the JSON file of `benchmarks/scale.py`. The tasks draw from its CPU seconds per source token of
many partitions, and take its start-up of a task. The cluster, the seconds to launch a task (LAUNCH_SECONDS) and the
troubles (`Trouble`) are assumed, not measured. A task is one partition. If its node is lost, its work is lost too;
when the loss is noticed, the task starts again at the head of the queue. A finished partition stays finished, because
its folder is on the shared file system. The seed decides everything.
"""

import argparse
import heapq
import json
import random
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SHARDS, SHARD_TOKENS = 23, 5.5e9
CUTS = (1, 4, 16, 64)
HOUR = 3600.0
LAUNCH_SECONDS = 5.0


@dataclass(frozen=True)
class Trouble:
    """What goes wrong: share and slowdown of slow attempts, mean life and repair time of a node."""

    name: str
    slow_share: float = 0.0
    slow_factor: float = 3.0
    node_hours: float | None = None
    notice_seconds: float = 120.0
    repair_hours: float = 1.0


TROUBLES = (
    Trouble("calm"),
    Trouble("stragglers", slow_share=0.05),
    Trouble("stragglers, lost nodes", slow_share=0.05, node_hours=6.0),
)


@dataclass(frozen=True)
class Cluster:
    """Identical machines."""

    nodes: int
    cores: int


@dataclass
class Outcome:
    """The result of a run, in seconds. `used` is the busy time of all cores, `useful` that of finished attempts."""

    wall: float = 0.0
    used: float = 0.0
    useful: float = 0.0
    attempts: int = 0
    lost_nodes: int = 0
    finished: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    task: int
    node: int
    began: float
    ends: float


class Simulation:
    """One run. Events are (time, number, kind, subject); the number orders events of the same time."""

    def __init__(self, seconds: Sequence[float], cluster: Cluster, trouble: Trouble, seed: int) -> None:
        self.seconds, self.trouble, self.rng = seconds, trouble, random.Random(seed)
        self.queue = deque(range(len(seconds)))
        self.free = [cluster.cores] * cluster.nodes
        self.cores = cluster.cores
        self.running: dict[int, Attempt] = {}
        self.events: list[tuple[float, int, str, Any]] = []
        self.count = 0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run until every task is finished."""
        if self.trouble.node_hours is not None:
            for node in range(len(self.free)):
                self._plan_loss(node, 0.0)
        self._start(0.0)
        while len(self.outcome.finished) < len(self.seconds):
            now, _, kind, subject = heapq.heappop(self.events)
            getattr(self, f"_{kind}")(now, subject)
            self._start(now)
        return self.outcome

    def _at(self, when: float, kind: str, subject: Any) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, kind, subject))

    def _start(self, now: float) -> None:
        """Start waiting tasks on the nodes with the most free cores."""
        while self.queue and max(self.free) > 0:
            node = self.free.index(max(self.free))
            self.free[node] -= 1
            task = self.queue.popleft()
            slow = self.rng.random() < self.trouble.slow_share
            seconds = self.seconds[task] * (self.trouble.slow_factor if slow else 1.0)
            self.outcome.attempts += 1
            self.running[self.outcome.attempts] = Attempt(task, node, now, now + seconds)
            self._at(now + seconds, "end", self.outcome.attempts)

    def _end(self, now: float, number: int) -> None:
        """End an attempt, unless its node was lost before."""
        attempt = self.running.pop(number, None)
        if attempt is None:
            return
        self.free[attempt.node] += 1
        self.outcome.used += now - attempt.began
        self.outcome.useful += now - attempt.began
        self.outcome.wall = now
        self.outcome.finished.append(attempt.task)

    def _lose(self, now: float, node: int) -> None:
        """Lose a node and its running tasks. Slurm notices later, and queues these tasks first."""
        self.outcome.lost_nodes += 1
        self.free[node] = 0
        victims = [number for number, attempt in self.running.items() if attempt.node == node]
        tasks = []
        for number in victims:
            attempt = self.running.pop(number)
            self.outcome.used += now - attempt.began
            tasks.append(attempt.task)
        self._at(now + self.trouble.notice_seconds, "requeue", tasks)
        self._at(now + self.trouble.repair_hours * HOUR, "repair", node)

    def _requeue(self, now: float, tasks: list[int]) -> None:
        self.queue.extendleft(reversed(tasks))

    def _repair(self, now: float, node: int) -> None:
        self.free[node] = self.cores
        self._plan_loss(node, now)

    def _plan_loss(self, node: int, now: float) -> None:
        assert self.trouble.node_hours is not None
        self._at(now + self.rng.expovariate(1 / (self.trouble.node_hours * HOUR)), "lose", node)


def task_seconds(measured: dict[str, Any], cuts: int, rng: random.Random) -> list[float]:
    """Return the seconds of each partition with `cuts` per shard: start-up, and its tokens at a measured rate.

    The partitions are much larger than the measured ones, so their true rates would be closer to the mean.
    """
    rates = [t["seconds"] / t["source_tokens"] for t in measured["tasks"] if t["stage"] == "shards"]
    tokens, start = SHARD_TOKENS / cuts, LAUNCH_SECONDS + measured["start_cpu_seconds"]
    return [start + tokens * rng.choice(rates) for _ in range(SHARDS * cuts)]


def simulate(
    measured: dict[str, Any], cluster: Cluster, trouble: Trouble, cuts: int, runs: int
) -> dict[str, Any]:
    """Simulate many runs with one number of cuts: hours (median, 95th percentile), and the shares of lost work."""
    outcomes = []
    for seed in range(runs):
        seconds = task_seconds(measured, cuts, random.Random(seed))
        outcomes.append(Simulation(seconds, cluster, trouble, seed).run())
    walls = sorted(outcome.wall / HOUR for outcome in outcomes)
    used = sum(outcome.used for outcome in outcomes)
    return {
        "trouble": trouble.name,
        "partitions": SHARDS * cuts,
        "task_minutes": statistics.mean(task_seconds(measured, cuts, random.Random(0))) / 60,
        "median_hours": statistics.median(walls),
        "p95_hours": walls[min(int(0.95 * runs), runs - 1)],
        "core_hours": used / runs / HOUR,
        "lost_share": 1 - sum(outcome.useful for outcome in outcomes) / used,
        "lost_nodes": statistics.mean(outcome.lost_nodes for outcome in outcomes),
        "busy_share": used / sum(outcome.wall for outcome in outcomes) / (cluster.nodes * cluster.cores),
    }


def main() -> None:
    arguments = parse()
    measured = json.loads(arguments.measured.read_text())
    cluster = Cluster(arguments.nodes, arguments.cores)
    rows = [
        simulate(measured, cluster, trouble, cuts, arguments.runs) for trouble in TROUBLES for cuts in CUTS
    ]
    print(table(rows, cluster, arguments.runs))
    if arguments.json:
        report = {
            "cluster": asdict(cluster),
            "runs": arguments.runs,
            "troubles": [asdict(t) for t in TROUBLES],
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.plot:
        plot(rows, cluster, arguments.plot)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("measured", type=Path, help="the JSON of benchmarks/scale.py")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def table(rows: list[dict[str, Any]], cluster: Cluster, runs: int) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        f"{cluster.nodes} nodes of {cluster.cores} cores, {runs} runs each",
        "",
        "| trouble | partitions | minutes each | median hours | 95% within | core-hours | work lost | cores busy |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['trouble']} | {row['partitions']:,} | {row['task_minutes']:.1f} "
            f"| {row['median_hours']:.2f} | {row['p95_hours']:.2f} | {row['core_hours']:.1f} "
            f"| {row['lost_share']:.1%} | {row['busy_share']:.0%} |"
        )
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], cluster: Cluster, path: Path) -> None:
    """Plot hours by the number of partitions: a bar for the median, a line to the 95th percentile."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    width = 0.8 / len(TROUBLES)
    for number, trouble in enumerate(TROUBLES):
        chosen = [row for row in rows if row["trouble"] == trouble.name]
        medians = [row["median_hours"] for row in chosen]
        upward = [row["p95_hours"] - row["median_hours"] for row in chosen]
        positions = [group + (number - 1) * width for group in range(len(chosen))]
        axes.bar(positions, medians, width * 0.9, label=trouble.name)
        axes.errorbar(positions, medians, [[0] * len(chosen), upward], fmt="none", ecolor="0.3", capsize=3)
    axes.set_xticks(range(len(CUTS)), [f"{SHARDS * cuts:,}" for cuts in CUTS])
    axes.set_xlabel("partitions")
    axes.set_ylabel("hours: median, 95th percentile")
    axes.set_title(f"23 shards of 5.5B tokens on {cluster.nodes} nodes of {cluster.cores} cores (simulated)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
