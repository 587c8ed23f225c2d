"""The paper's 23-shard build on a cluster with stragglers and lost nodes, simulated event by event.

python benchmarks/simulate_cluster.py benchmarks/results/scale.json [--nodes N] [--cores N] [--runs N]
    [--json FILE] [--plot FILE]

The first argument is what `benchmarks/scale.py` wrote: the CPU seconds per source token of many partitions, which the
tasks here draw from, and the start-up of a task. What is assumed, not measured, are the cluster, the seconds it takes
to launch a task (LAUNCH_SECONDS), and its troubles (`Trouble`). A task is one partition; its work is lost with its
node and begins anew, at the head of the queue, once that is noticed; a finished partition stays finished (its folder
lies on the shared file system). Everything follows from the seed.
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
    """What goes wrong: the share of attempts that run slower and how much, a node's mean life, and its absence."""

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
    """Machines that are all alike."""

    nodes: int
    cores: int


@dataclass
class Outcome:
    """What a run took, in seconds. `used` is the time that cores were busy, `useful` what finished attempts took."""

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
    """One run. Events are (time, number, kind, subject), the number only to order those of the same time."""

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
        """Until every task is finished."""
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
        """Give waiting tasks to the nodes with the most free cores."""
        while self.queue and max(self.free) > 0:
            node = self.free.index(max(self.free))
            self.free[node] -= 1
            task = self.queue.popleft()
            slow = self.rng.random() < self.trouble.slow_share
            took = self.seconds[task] * (self.trouble.slow_factor if slow else 1.0)
            self.outcome.attempts += 1
            self.running[self.outcome.attempts] = Attempt(task, node, now, now + took)
            self._at(now + took, "end", self.outcome.attempts)

    def _end(self, now: float, number: int) -> None:
        """An attempt ends, unless its node was lost before."""
        attempt = self.running.pop(number, None)
        if attempt is None:
            return
        self.free[attempt.node] += 1
        self.outcome.used += now - attempt.began
        self.outcome.useful += now - attempt.began
        self.outcome.wall = now
        self.outcome.finished.append(attempt.task)

    def _lose(self, now: float, node: int) -> None:
        """A node is gone, and with it what ran there; Slurm notices later and queues those tasks first."""
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
    """How long each partition takes when every shard is cut into `cuts`: start-up, and its tokens at a measured rate.

    A partition is much larger than those that were measured, so in truth its rate would lie nearer to the mean.
    """
    rates = [t["seconds"] / t["source_tokens"] for t in measured["tasks"] if t["stage"] == "shards"]
    tokens, start = SHARD_TOKENS / cuts, LAUNCH_SECONDS + measured["start_cpu_seconds"]
    return [start + tokens * rng.choice(rates) for _ in range(SHARDS * cuts)]


def simulate(
    measured: dict[str, Any], cluster: Cluster, trouble: Trouble, cuts: int, runs: int
) -> dict[str, Any]:
    """Many runs with one way of cutting: the median and the 95th percentile of hours, and the share of work lost."""
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
        told = {
            "cluster": asdict(cluster),
            "runs": arguments.runs,
            "troubles": [asdict(t) for t in TROUBLES],
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
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
    """The rows for a terminal, and as Markdown."""
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
    """Hours by the number of partitions: a bar for the median, a line up to the 95th percentile."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    width = 0.8 / len(TROUBLES)
    for number, trouble in enumerate(TROUBLES):
        chosen = [row for row in rows if row["trouble"] == trouble.name]
        medians = [row["median_hours"] for row in chosen]
        upward = [row["p95_hours"] - row["median_hours"] for row in chosen]
        places = [group + (number - 1) * width for group in range(len(chosen))]
        axes.bar(places, medians, width * 0.9, label=trouble.name)
        axes.errorbar(places, medians, [[0] * len(chosen), upward], fmt="none", ecolor="0.3", capsize=3)
    axes.set_xticks(range(len(CUTS)), [f"{SHARDS * cuts:,}" for cuts in CUTS])
    axes.set_xlabel("partitions")
    axes.set_ylabel("hours: median, 95th percentile")
    axes.set_title(f"23 shards of 5.5B tokens on {cluster.nodes} nodes of {cluster.cores} cores (simulated)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
