"""Measure `l2t eval` against lm-evaluation-harness's `hf` model: pairs per second, decisions, memory.

    python benchmarks/evaluate.py --blimp FILE --tokenizer DIR [--json FILE]

Scores the first pairs of each BLiMP paradigm with a random Qwen2 model of 5 million parameters and the vocabulary of
the tokenizer (32,768 entries in benchmarks/results/evaluate.md). The arms take turns on the same pairs, in a rotating
order, and the medians are compared. A process of its own then scores all pairs and reports its peak memory. Takes
about five minutes on two quiet cores; on a busy machine compare the CPU time.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import pyarrow.parquet as pq
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import Qwen2Config, Qwen2ForCausalLM

from l2t_hub.evaluate.harness_model import HarnessModel
from l2t_hub.evaluate.model_facts import library_versions
from l2t_hub.scoring import Scorer
from l2t_hub.scoring.loading import ModelSource
from l2t_hub.tokens.load import load_exact_tokenizer
from l2t_hub.train.architecture import SIZES, rounded_vocabulary
from l2t_hub.train.hardware import hardware

OURS = "l2t"
TIE = 1e-4
"""Nats: pairs closer than this in either arm are listed as ties."""


def random_model(tokenizer: Path) -> Scorer:
    """A model of size nano, with logits spread as a trained model's."""
    loaded = load_exact_tokenizer(tokenizer)
    torch.manual_seed(0)
    config = Qwen2Config(
        **vars(SIZES["nano"]),
        vocab_size=rounded_vocabulary(len(loaded)),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    source = ModelSource("random", "random", None, is_local=True)
    return Scorer(Qwen2ForCausalLM(config).eval(), loaded, int(loaded.bos_token_id), source)


def requests(blimp: Path, per_paradigm: int | None) -> list[Instance]:
    """Good and bad sentence of each pair, one after the other, as lm-eval asks for them: after a space."""
    seen: Counter[str] = Counter()
    sentences = []
    for row in pq.read_table(blimp).to_pylist():
        seen[row["UID"]] += 1
        if per_paradigm is None or seen[row["UID"]] <= per_paradigm:
            sentences += [f" {row['sentence_good']}", f" {row['sentence_bad']}"]
    return [Instance("loglikelihood", {}, ("", sentence), i) for i, sentence in enumerate(sentences)]


def arms(scorer: Scorer) -> dict[str, Any]:
    def hf(batch_size: int) -> HFLM:
        return HFLM(
            pretrained=scorer.model,
            tokenizer=scorer.tokenizer,
            batch_size=batch_size,
            softmax_dtype="float32",
        )

    return {OURS: HarnessModel(scorer), "hf, batch size 1": hf(1), "hf, batch size 16": hf(16)}


def measure(models: dict[str, Any], asked: list[Instance], rounds: int) -> dict[str, Any]:
    """Pairs per second of each arm, by wall clock and by CPU time, and its log-likelihoods."""
    names, pairs = list(models), len(asked) // 2
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    sums: dict[str, list[float]] = {}
    for model in models.values():
        model.loglikelihood(asked[:64], disable_tqdm=True)  # warm-up
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wall, cpu = perf_counter(), process_time()
            answers = models[name].loglikelihood(asked, disable_tqdm=True)
            spent[name].append((perf_counter() - wall, process_time() - cpu))
            sums[name] = [value for value, _ in answers]
            print(f"round {turn + 1}, {name}: {pairs / spent[name][-1][0]:.0f} pairs/s", flush=True)
    figures = {}
    for name in names:
        wall, cpu = (median(column) for column in zip(*spent[name], strict=True))
        figures[name] = {"pairs_per_s": pairs / wall, "pairs_per_cpu_s": pairs / cpu} | agreement(
            sums[OURS], sums[name]
        )
    return figures


def agreement(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """How two arms differ: largest difference in nats, pairs decided otherwise, and ties."""
    gaps = [
        (a - b, c - d) for a, b, c, d in zip(ours[::2], ours[1::2], theirs[::2], theirs[1::2], strict=True)
    ]
    return {
        "largest_difference": max(abs(a - b) for a, b in zip(ours, theirs, strict=True)),
        "decided_otherwise": [i for i, (a, b) in enumerate(gaps) if (a > 0) != (b > 0)],
        "ties": [i for i, gap in enumerate(gaps) if min(map(abs, gap)) < TIE],
    }


def peak_memory(asked: argparse.Namespace) -> dict[str, float]:
    """Peak resident memory of a process that scores all pairs of BLiMP, imports and data included."""
    command = [
        sys.executable,
        __file__,
        "--blimp",
        asked.blimp,
        "--tokenizer",
        asked.tokenizer,
        "--all-pairs",
    ]
    command += ["--threads", str(asked.threads)]
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def score_all(asked: argparse.Namespace) -> None:
    model, every = HarnessModel(random_model(asked.tokenizer)), requests(asked.blimp, None)
    start = perf_counter()
    model.loglikelihood(every, disable_tqdm=True)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"pairs": len(every) // 2, "seconds": seconds, "peak_gib": peak}))


def markdown(result: dict[str, Any]) -> str:
    """The result as a table."""
    ours = result["arms"][OURS]
    lines = [
        f"{result['pairs']:,} BLiMP pairs, {result['parameters']:,} parameters, {result['threads']} threads, "
        f"fp32, median of {result['rounds']} rounds. {result['hardware']['processor']}.",
        "",
        "| | pairs/s | l2t is faster by | pairs/CPU s | largest difference, nats | decided otherwise | ties |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, f in result["arms"].items():
        ratio = ours["pairs_per_s"] / f["pairs_per_s"]
        lines.append(
            f"| {name} | {f['pairs_per_s']:.0f} | {ratio:.1f} | {f['pairs_per_cpu_s']:.0f} "
            f"| {f['largest_difference']:.1e} | {len(f['decided_otherwise'])} | {len(f['ties'])} |"
        )
    if full := result["all_pairs"]:
        lines += [
            "",
            f"All {full['pairs']:,} pairs in {full['seconds']:.0f} s; peak memory of the process "
            f"{full['peak_gib']:.2f} GiB.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blimp", type=Path, required=True, metavar="FILE", help="BLiMP as one Parquet file")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=30, help="pairs of each of the 67 paradigms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-memory", action="store_true", help="leave out the run over all pairs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--all-pairs", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    logging.disable(logging.WARNING)
    if asked.all_pairs:
        score_all(asked)
        return
    scorer = random_model(asked.tokenizer)
    pairs = requests(asked.blimp, asked.pairs)
    result = {
        "hardware": hardware().model_dump(),
        "versions": library_versions(),
        "threads": asked.threads,
        "rounds": asked.rounds,
        "pairs": len(pairs) // 2,
        "parameters": scorer.model.num_parameters(),
        "arms": measure(arms(scorer), pairs, asked.rounds),
        "all_pairs": None if asked.no_memory else peak_memory(asked),
    }
    print(f"\n{markdown(result)}")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
