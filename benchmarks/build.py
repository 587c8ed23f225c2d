"""Measure how fast a dataset is built: the whole build against `encode_batch` of the tokenizers library (and any
other program), the parts of a build, and the memory of every process.

python benchmarks/build.py SOURCE... --tokenizer FOLDER [--views packed,all] [--workers 1,2] [--repeats 3]
    [--partitions 8] [--amortise 4] [--against COMMAND] [--parts] [--set KEY=VALUE]... [--json FILE]

SOURCE is a file, a folder or a glob, as in a recipe. The baseline, 1.00, encodes every text once, in batches, on as
many threads as the build has workers; reading and start-up are not counted. A build's seconds are those of the whole
command. In every round all contenders run in turn, each in a new process pinned to its cores. Ratios are taken within
a round, and medians over the rounds are printed. Start-up is measured as the build of 8 documents; `--amortise N`
also prints the ratio with the start-up spread over N such sources. `--against` runs another program in the same
rounds; {source}, {out} and {workers} in COMMAND are replaced.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processes import Run, machine, run

SMALL = 8
PROGRAM = Path(__file__).with_name("build_parts.py")
VIEWS = {"packed": {"raw": "none", "examples": "none"}, "all": {}}


def main() -> None:
    arguments = parse()
    report: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(),
        "sources": [],
    }
    for source in arguments.sources:
        measured = measure(arguments, source)
        report["sources"].append(measured)
        print(table(measured, arguments.amortise))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--tokenizer", required=True, help="a folder with a tokenizer.json")
    parser.add_argument("--views", default="packed,all", type=lambda text: text.split(","))
    parser.add_argument("--workers", default=[1, 2], type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--repeats", default=3, type=int)
    parser.add_argument("--partitions", default=8, type=int)
    parser.add_argument("--amortise", default=1.0, type=float, metavar="N")
    parser.add_argument("--against", metavar="COMMAND")
    parser.add_argument("--parts", action="store_true", help="also time the parts of a build, in one process")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def recipe(arguments: argparse.Namespace, source: str, views: str, limit: int | None) -> dict[str, Any]:
    """Return the paper's disjoint mixture: half of the documents raw, all tasks, sequences of 2,048 tokens."""
    tree: dict[str, Any] = {
        "name": "benchmark",
        "source": {"path": str(Path(source).absolute()), "limit": limit},
        "mixture": {"scheme": "disjoint", "raw_share": 0.5},
        "tokenizer": {"name": str(Path(arguments.tokenizer).absolute())},
        "packing": {"sequence_length": 2048},
        "build": {"partitions": arguments.partitions, **VIEWS[views]},
    }
    for text in arguments.sets:
        key, _, value = text.partition("=")
        section, _, name = key.partition(".")
        tree.setdefault(section, {})[name] = json.loads(value)
    return tree


def contenders(arguments: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Return the contenders of a round: (what, views, workers)."""
    result = []
    for workers in arguments.workers:
        result.append(("library", "", workers))
        for views in arguments.views:
            result += [("build", views, workers), ("start-up", views, workers)]
        if arguments.against:
            result.append(("against", "", workers))
    return result


def measure(arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    """Run all rounds of one source."""
    rounds = []
    for number in range(arguments.repeats):
        rounds.append([turn(arguments, source, *contender) for contender in contenders(arguments)])
        print(f"{source}: round {number + 1} of {arguments.repeats}", file=sys.stderr)
    results = [summary([turns[n] for turns in rounds], rounds, n) for n in range(len(rounds[0]))]
    baseline = next(cost for cost in rounds[0] if cost["what"] == "library")
    measured = {
        "source": Path(source).name,
        "tokens": baseline["answer"]["tokens"],
        "documents": baseline["answer"]["documents"],
        "results": results,
        "rounds": rounds,
    }
    for result in results:
        start_up = matching(results, "start-up", result["views"], result["workers"])
        if result["what"] == "build" and start_up is not None:
            result["amortised_ratio"] = amortised(rounds, result, arguments.amortise)
    if arguments.parts:
        measured["parts"] = turn(arguments, source, "parts", arguments.views[-1], 1)["answer"]
    return measured


def turn(arguments: argparse.Namespace, source: str, what: str, views: str, workers: int) -> dict[str, Any]:
    """Run one contender once, and return its cost."""
    with tempfile.TemporaryDirectory() as folder:
        out, tree = Path(folder) / "out", Path(folder) / "recipe.json"
        limit = SMALL if what == "start-up" else None
        tree.write_text(json.dumps(recipe(arguments, source, views or "packed", limit)))
        if what == "against":
            values = {"source": str(Path(source).absolute()), "out": str(out), "workers": str(workers)}
            command = [part.format(**values) for part in shlex.split(arguments.against)]
        else:
            program = "build" if what == "start-up" else what
            command = [sys.executable, str(PROGRAM), program, str(tree), str(out), str(workers)]
        cores = sorted(os.sched_getaffinity(0))[:workers]
        environment = {"RAYON_NUM_THREADS": str(workers), "OMP_NUM_THREADS": "1"}
        environment["TOKENIZERS_PARALLELISM"] = "true" if what == "library" else "false"
        cost = run(command, cores, environment)
    return {"what": what, "views": views, "workers": workers, **figures(cost, what)}


def figures(cost: Run, what: str) -> dict[str, Any]:
    """Return a run as JSON. The baseline measures its own times, around the encoding alone."""
    result = asdict(cost)
    output = result.pop("output")
    result["answer"] = json.loads(output.splitlines()[-1]) if what != "against" else None
    if what == "library":
        result |= {key: result["answer"][key] for key in ("seconds", "cpu_seconds")}
    return result


def matching(turns: list[dict[str, Any]], what: str, views: str, workers: int) -> dict[str, Any] | None:
    """Return the turn of a contender in a round, or None."""
    contender = (what, views, workers)
    return next((t for t in turns if (t["what"], t["views"], t["workers"]) == contender), None)


def summary(own: list[dict[str, Any]], rounds: list[list[dict[str, Any]]], n: int) -> dict[str, Any]:
    """Return medians over the rounds, and ratios to the baseline on as many cores, by wall clock and CPU time."""
    first = own[0]
    result = {key: first[key] for key in ("what", "views", "workers")}
    for key in ("seconds", "cpu_seconds", "others"):
        result[key] = statistics.median(cost[key] for cost in own)
    roles = sorted({role for cost in own for role in cost["peak_mb"]})
    result["peak_mb"] = {role: max(max(cost["peak_mb"].get(role, [0])) for cost in own) for role in roles}
    if first["what"] == "start-up":
        return result
    for key, ratio in (("seconds", "ratio"), ("cpu_seconds", "cpu_ratio")):
        pairs = [(matching(turns, "library", "", first["workers"]), turns[n]) for turns in rounds]
        ratios = [baseline[key] / cost[key] for baseline, cost in pairs if baseline is not None]
        result[ratio], result[f"{ratio}_range"] = statistics.median(ratios), [min(ratios), max(ratios)]
    return result


def amortised(rounds: list[list[dict[str, Any]]], result: dict[str, Any], times: float) -> float:
    """Return the median ratio with the start-up spread over `times` sources of this size."""
    ratios = []
    for turns in rounds:
        baseline = matching(turns, "library", "", result["workers"])
        whole = matching(turns, "build", result["views"], result["workers"])
        start_up = matching(turns, "start-up", result["views"], result["workers"])
        assert baseline is not None
        assert whole is not None
        assert start_up is not None
        ratios.append(baseline["seconds"] / (whole["seconds"] - start_up["seconds"] * (1 - 1 / times)))
    return statistics.median(ratios)


def table(measured: dict[str, Any], times: float) -> str:
    """Return the results as text."""
    tokens = measured["tokens"]
    lines = [
        f"{measured['source']}: {measured['documents']:,} documents, {tokens:,} tokens; encode_batch = 1.00",
        f"{'':10}{'views':8}{'workers':>7}{'seconds':>9}{'M tok/s':>9}{'CPU s':>8}{'ratio':>7}{'CPU':>7}"
        f"{f'1/{times:g} start':>10}{'others':>8}  peak MB",
    ]
    for r in measured["results"]:
        rate = "" if r["what"] == "start-up" else f"{tokens / r['seconds'] / 1e6:.2f}"
        ratios = [f"{r[key]:.2f}" if key in r else "" for key in ("ratio", "cpu_ratio", "amortised_ratio")]
        peaks = ", ".join(f"{role} {peak}" for role, peak in r["peak_mb"].items())
        lines.append(
            f"{r['what']:10}{r['views']:8}{r['workers']:>7}{r['seconds']:>9.2f}{rate:>9}{r['cpu_seconds']:>8.2f}"
            f"{ratios[0]:>7}{ratios[1]:>7}{ratios[2]:>10}{r['others']:>8.2f}  {peaks}"
        )
    lines += scaling(measured["results"])
    for where, title in (
        ("within", "parts of a build, one process"),
        ("alone", "parts run alone: upper bounds"),
    ):
        if "parts" in measured:
            lines += [f"{title:32}{'CPU s':>8}{'M tok/s':>9}"]
            for name, seconds in measured["parts"][where].items():
                lines.append(f"  {name:30}{seconds:>8.2f}{tokens / max(seconds, 1e-9) / 1e6:>9.2f}")
    return "\n".join(lines) + "\n"


def scaling(results: list[dict[str, Any]]) -> list[str]:
    """Return lines on the speed-up by more workers, without the start-up."""
    lines = []
    for r in results:
        single = matching(results, "build", r["views"], 1)
        if r["what"] == "build" and r["workers"] > 1 and single is not None:
            starts = [matching(results, "start-up", r["views"], n) for n in (1, r["workers"])]
            work = [cost["seconds"] - s["seconds"] for cost, s in zip((single, r), starts, strict=True) if s]
            speed_up, whole = work[0] / work[1], single["seconds"] / r["seconds"]
            lines.append(
                f"{r['views']}: {r['workers']} workers are {speed_up:.2f} times as fast as one "
                f"({whole:.2f} with the start-up)"
            )
    return lines


if __name__ == "__main__":
    main()
