"""Measure the page of `l2t demo`: its start, a pair on two models, many visitors at once, memory over model switches.

    python benchmarks/demo.py --tokenizer DIR [--json FILE]

Makes random models of 10 million parameters with the vocabulary of the tokenizer and serves them with the command, as
a user does; a browser (Debian's Chromium, where it is installed) opens the page. Everything is measured from outside:

- start: seconds from the command to the first answer of the server, to the page with its button, and to the first
  comparison on it, each the median of several starts after one that warms the disk cache;
- pair: milliseconds of a pair on two loaded models, at the server as Gradio reports it, and with the way there and
  back;
- visitors: as many sessions at once, each with its own pairs; every answer must be about the pair that was asked;
- switches: the server's resident memory while models take turns that do not fit in its budget together.

Takes about five minutes on two quiet cores.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from l2t_hub.demo.model_pool import OVERHEAD
from l2t_hub.evaluate.model_facts import library_versions
from l2t_hub.train.hardware import hardware

CHROMIUM = shutil.which("chromium")
PATIENCE = 120.0
NOUNS = ("author", "teacher", "farmer", "doctor", "child", "neighbour", "poet", "driver")
PLACES = ("garden", "kitchen", "library", "harbour", "office", "theatre", "station", "market")


def make_models(folder: Path, tokenizer: Path, number: int) -> list[str]:
    """Save random Qwen2 models of about 10 million parameters."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from l2t_hub.tokens.load import load_exact_tokenizer
    from l2t_hub.train.architecture import rounded_vocabulary

    loaded = load_exact_tokenizer(tokenizer)
    sizes = {"hidden_size": 224, "num_hidden_layers": 5, "intermediate_size": 640}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 2048}
    config = Qwen2Config(
        **sizes,
        **heads,
        vocab_size=rounded_vocabulary(len(loaded)),
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    made = []
    for seed in range(number):
        torch.manual_seed(seed)
        made.append(str(folder / f"model-{seed}"))
        Qwen2ForCausalLM(config).save_pretrained(made[-1])
        loaded.save_pretrained(made[-1])
    return made


@dataclass
class Server:
    """A served page: its address, its process, when the command was given and when it answered."""

    address: str
    process: psutil.Process
    given: float
    answered: float

    def call(self, function: str, *arguments: Any, session: str = "") -> tuple[Any, float]:
        """Call a function of the page as its browser code does; return the result and the seconds at the server."""
        with httpx.Client(base_url=self.address, timeout=PATIENCE) as client:
            config = client.get("config").json()["dependencies"]
            number = next(f["id"] for f in config if f["api_name"] == function)
            return self.ask(client, number, session or uuid.uuid4().hex, *arguments)

    def ask(self, client: httpx.Client, number: int, session: str, *arguments: Any) -> tuple[Any, float]:
        """Join the queue and wait for the result."""
        request = {"data": list(arguments), "fn_index": number, "session_hash": session}
        client.post("gradio_api/queue/join", json=request).raise_for_status()
        with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(str(message["output"]))
                    return message["output"]["data"][0], message["output"]["duration"]
        raise RuntimeError("the server closed the stream without an answer")


@contextmanager
def served(models: list[str], *options: str) -> Iterator[Server]:
    """Run `l2t demo` until the block ends."""
    given = time.perf_counter()
    command = [sys.executable, "-m", "l2t_hub.cli", "demo", *models, "--port", "0", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert child.stdout is not None
        printed = ""
        for line in child.stdout:
            printed += line
            if "The page is at" in line:
                break
        else:
            raise RuntimeError(f"l2t demo ended: {printed}")
        address = line.split("The page is at ")[1].split()[0]
        httpx.get(address, timeout=PATIENCE).raise_for_status()
        yield Server(address, psutil.Process(child.pid), given, time.perf_counter())
    finally:
        child.kill()
        child.wait()


def pair(number: int) -> tuple[str, str]:
    """The minimal pair of that number."""
    subject = f"The {NOUNS[number % 8]} near the {PLACES[number // 8 % 8]} number {number}"
    return f"{subject} was tired that evening.", f"{subject} were tired that evening."


def measure_start(models: list[str]) -> dict[str, float]:
    with served(models) as server:
        figures = {"answered_s": server.answered - server.given}
        if CHROMIUM:
            from playwright.sync_api import sync_playwright

            with sync_playwright() as playwright:
                arguments = ["--no-sandbox", "--disable-gpu"]
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
                page = browser.new_page()
                waited = time.perf_counter()  # starting the browser is not the page's time
                page.goto(server.address)
                page.locator("#compare:enabled").wait_for(timeout=PATIENCE * 1000)
                figures["usable_s"] = figures["answered_s"] + time.perf_counter() - waited
                page.locator("#answer article").first.wait_for(timeout=PATIENCE * 1000)
                figures["first_comparison_s"] = figures["answered_s"] + time.perf_counter() - waited
                browser.close()
        return figures


def measure_pair(server: Server, names: list[str], rounds: int) -> dict[str, float]:
    session = uuid.uuid4().hex
    server.call("compare_sentences", names[:2], *pair(0))  # loads the models
    at_server, there_and_back = [], []
    with httpx.Client(base_url=server.address, timeout=PATIENCE) as client:
        config = client.get("config").json()["dependencies"]
        number = next(f["id"] for f in config if f["api_name"] == "compare_sentences")
        for turn in range(1, rounds + 1):
            start = time.perf_counter()
            _, seconds = server.ask(client, number, session, names[:2], *pair(turn))
            there_and_back.append(time.perf_counter() - start)
            at_server.append(seconds)
    return {
        "server_median_ms": 1000 * median(at_server),
        "server_largest_ms": 1000 * max(at_server),
        "with_the_way_median_ms": 1000 * median(there_and_back),
    }


def measure_visitors(server: Server, names: list[str], visitors: int, requests: int) -> dict[str, Any]:
    def visit(visitor: int) -> tuple[list[float], int]:
        waits, wrong = [], 0
        for turn in range(requests):
            good, bad = pair(1000 + visitor * requests + turn)
            start = time.perf_counter()
            answer, _ = server.call("compare_sentences", names[:2], good, bad)
            waits.append(time.perf_counter() - start)
            wrong += good not in json.dumps(answer) or bad not in json.dumps(answer)
        return waits, wrong

    start = time.perf_counter()
    with ThreadPoolExecutor(visitors) as pool:
        visits = list(pool.map(visit, range(visitors)))
    waits = sorted(wait for each, _ in visits for wait in each)
    return {
        "visitors": visitors,
        "requests": len(waits),
        "wrong_answers": sum(wrong for _, wrong in visits),
        "seconds": time.perf_counter() - start,
        "wait_median_s": median(waits),
        "wait_largest_s": waits[-1],
    }


def measure_switches(models: list[str], switches: int) -> dict[str, Any]:
    weights = max(sum(file.stat().st_size for file in Path(m).glob("*.safetensors")) for m in models)
    budget = (len(models) - 1) * (weights + OVERHEAD)
    resident = []
    with served(models, "--memory", str(budget)) as server:
        empty = server.process.memory_info().rss
        for turn in range(switches):
            server.call("read_sentence", [Path(models[turn % len(models)]).name], pair(turn)[0])
            resident.append(server.process.memory_info().rss)
    warm = min(switches, 4 * len(models))
    return {
        "switches": switches,
        "budget_mb": budget / 1e6,
        "resident_at_start_mb": empty / 1e6,
        "resident_largest_early_mb": max(resident[:warm]) / 1e6,
        "resident_largest_mb": max(resident) / 1e6,
        "resident_at_end_mb": resident[-1] / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=50, help="pairs on two models, one after the other")
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--requests", type=int, default=5, help="of each visitor")
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(Path(folder), asked.tokenizer, 3)
        names = [Path(model).name for model in models]
        starts = [measure_start(models[:2]) for _ in range(asked.starts + 1)][1:]
        with served(models) as server:
            figures: dict[str, Any] = {
                "hardware": hardware().model_dump(),
                "versions": library_versions(),
                "start": {name: median(start[name] for start in starts) for name in starts[0]},
                "pair": measure_pair(server, names, asked.rounds),
                "at_once": measure_visitors(server, names, asked.visitors, asked.requests),
            }
        figures["memory"] = measure_switches(models, asked.switches)
    text = json.dumps(figures, indent=2)
    if asked.json:
        asked.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
