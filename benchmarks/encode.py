"""Measure how fast texts are encoded: the word cache against `encode_batch` of the tokenizers library, with the same
text and cores.

python benchmarks/encode.py TEXT --tokenizer FOLDER [--words N] [--repeats N] [--json FILE]

TEXT is a Parquet file with a `text` column. Each measurement runs in a new process pinned to its cores; on two cores
the word cache runs in two processes, as in a build, and the library uses its own threads. All contenders run in turn
in every round, so that a busy machine slows them alike, and medians are printed. "cold" is the first pass over the
text, "warm" the second.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BATCH = 256
CONTENDERS = (("library", 1), ("words", 1), ("library", 2), ("words", 2))


@dataclass(frozen=True)
class Measurement:
    """One contender in one round: seconds of the first and the second pass, and the peak of its largest process."""

    method: str
    cores: int
    tokens: int
    cold_seconds: float
    warm_seconds: float
    peak_bytes: int


def main() -> None:
    arguments = parse()
    if arguments.worker:
        work(arguments)
        return
    available = sorted(os.sched_getaffinity(0))
    contenders = [c for c in CONTENDERS if c[1] <= len(available)]
    rounds = []
    for number in range(arguments.repeats):
        rounds.append([measure(arguments, method, available[:cores]) for method, cores in contenders])
        print(f"round {number + 1} of {arguments.repeats}", file=sys.stderr)
    if len({measurement.tokens for measured in rounds for measurement in measured}) != 1:
        raise SystemExit("the contenders do not agree on the number of tokens")
    results = [summary([measured[i] for measured in rounds], rounds) for i in range(len(contenders))]
    print(table(results, rounds[0][0].tokens))
    if arguments.json:
        report = {"text": arguments.text.name, "tokens": rounds[0][0].tokens, "results": results}
        report["rounds"] = [[asdict(measurement) for measurement in measured] for measured in rounds]
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a folder with a tokenizer.json")
    parser.add_argument(
        "--words", type=int, help="take about this many words from the text's start (default: all)"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache-mb", type=int, help="bound of the word cache (default: the package's)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(arguments: argparse.Namespace, method: str, cores: list[int]) -> Measurement:
    """Run one contender: one process, or one per core for the word cache. After loading, they wait for a line."""
    shares = [[core] for core in cores] if method == "words" else [cores]
    workers = []
    for number, share in enumerate(shares):
        environment = os.environ | {
            "RAYON_NUM_THREADS": str(len(share)),
            "TOKENIZERS_PARALLELISM": "true" if len(share) > 1 else "false",
        }
        job = json.dumps({"method": method, "cores": share, "part": number, "parts": len(shares)})
        command = [sys.executable, *sys.argv, "--worker", job]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen(command, env=environment, **pipes))
    for worker in workers:
        if worker.stdout.readline() != "ready\n":
            raise SystemExit("a worker did not start")
    answers = []
    for stage in ("cold", "warm"):
        for worker in workers:
            worker.stdin.write(f"{stage}\n")
            worker.stdin.flush()
        answers.append([json.loads(worker.stdout.readline()) for worker in workers])
    for worker in workers:
        worker.communicate()
    cold, warm = (max(answer["seconds"] for answer in stage) for stage in answers)
    tokens = sum(answer["tokens"] for answer in answers[0])
    return Measurement(method, len(cores), tokens, cold, warm, max(answer["peak"] for answer in answers[1]))


def work(arguments: argparse.Namespace) -> None:
    """Load, print "ready", and encode the text for every line on standard input, in a measuring process."""
    job = json.loads(arguments.worker)
    os.sched_setaffinity(0, job["cores"])
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    from l2t_hub.tokens.encode import CACHE_BYTES, Encoder

    texts, words = [], 0
    for batch in pq.ParquetFile(arguments.text).iter_batches(columns=["text"]):
        for text in batch.column(0).to_pylist():
            if arguments.words is None or words < arguments.words:
                texts.append(text)
                words += text.count(" ") + 1
    texts = texts[job["part"] :: job["parts"]]
    batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
    tokenizer = Tokenizer.from_file(str(arguments.tokenizer / "tokenizer.json"))
    cache = CACHE_BYTES if arguments.cache_mb is None else arguments.cache_mb << 20
    encoder = Encoder(tokenizer, cache_bytes=cache)
    if job["method"] == "words" and encoder.method != "words":
        raise SystemExit(encoder.reason)
    print("ready", flush=True)
    for _ in range(2):
        sys.stdin.readline()
        begin = time.perf_counter()
        if job["method"] == "words":
            tokens = sum(len(encoder.encode(batch).ids) for batch in batches)
        else:
            encoded = (tokenizer.encode_batch(batch, add_special_tokens=False) for batch in batches)
            tokens = sum(len(encoding.ids) for encodings in encoded for encoding in encodings)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "tokens": tokens, "peak": peak}), flush=True)


def summary(own: list[Measurement], rounds: list[list[Measurement]]) -> dict[str, object]:
    """Return medians over the rounds. Ratios are to the library's first pass on as many cores in the same round."""
    method, cores, tokens = own[0].method, own[0].cores, own[0].tokens
    baselines = [
        next(m for m in measured if (m.method, m.cores) == ("library", cores)) for measured in rounds
    ]
    cold = [baseline.cold_seconds / m.cold_seconds for baseline, m in zip(baselines, own, strict=True)]
    warm = [baseline.cold_seconds / m.warm_seconds for baseline, m in zip(baselines, own, strict=True)]
    return {
        "method": method,
        "cores": cores,
        "cold_tokens_per_second": tokens / statistics.median(m.cold_seconds for m in own),
        "warm_tokens_per_second": tokens / statistics.median(m.warm_seconds for m in own),
        "cold_ratio": statistics.median(cold),
        "cold_ratio_range": [min(cold), max(cold)],
        "warm_ratio": statistics.median(warm),
        "warm_ratio_range": [min(warm), max(warm)],
        "peak_megabytes": max(m.peak_bytes for m in own) / 1e6,
    }


def table(results: list[dict[str, object]], tokens: int) -> str:
    head = f"{'method':10}{'cores':>6}{'cold M/s':>10}{'warm M/s':>10}{'cold ratio':>12}{'warm ratio':>12}"
    head += f"{'peak MB':>9}"
    lines = [f"{tokens:,} tokens; ratios to the library's encode_batch on as many cores", head]
    for r in results:
        rates = f"{r['cold_tokens_per_second'] / 1e6:>10.2f}{r['warm_tokens_per_second'] / 1e6:>10.2f}"
        ratios = f"{r['cold_ratio']:>12.2f}{r['warm_ratio']:>12.2f}"
        lines.append(f"{r['method']:10}{r['cores']:>6}{rates}{ratios}{r['peak_megabytes']:>9.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
