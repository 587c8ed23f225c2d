"""The finished model's directory: weights, configuration, tokenizer, log, plot and record, all whole or not there."""

import importlib.metadata
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import CHECKPOINTS, TOKENIZER, TRAINING_LOG, TRAINING_RECORD
from l2t_hub.extras import installed
from l2t_hub.tokens.load import auto_tokenizer_agrees
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.locate import DatasetLocation
from l2t_hub.train.model import count_parameters
from l2t_hub.train.run_directory import CACHE, PARTIAL, RunIdentity, write_json
from l2t_hub.train.training_log import Record, read_log

PLOT = "loss.png"
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "numpy")


@dataclass(frozen=True)
class RunSummary:
    """What a run did, beyond its recipe: the sizes, the counts and how long it took."""

    batches: BatchLayout
    rows: int
    validation_rows: int
    predicted_tokens: int
    seconds: float
    precision: str
    optimizer: str
    resumed_from: int | None


def finish(model: Any, out: Path, dataset: DatasetLocation, identity: RunIdentity, facts: RunSummary) -> None:
    """Write the final files of a run beside each other, then give them their names; `training.json` comes last."""
    staged = out / PARTIAL
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    model.save_pretrained(staged)
    for file in sorted((dataset.directory / TOKENIZER).iterdir()):
        if file.is_file() and file.name != "README.md":
            shutil.copyfile(file, staged / file.name)
    shutil.copyfile(out / CHECKPOINTS / TRAINING_LOG, staged / TRAINING_LOG)
    log = read_log(staged / TRAINING_LOG)
    if installed("plots"):
        plot_losses(log, identity.recipe.name, staged / PLOT)
    record = _record(model, log, dataset, identity, facts) | {"auto_tokenizer": auto_tokenizer_agrees(staged)}
    for file in sorted(staged.iterdir()):
        file.replace(out / file.name)
    write_json(out / TRAINING_RECORD, record)
    (out / CHECKPOINTS / TRAINING_LOG).unlink()
    for leftover in (staged, out / CHECKPOINTS / PARTIAL, out / CHECKPOINTS / CACHE):
        shutil.rmtree(leftover, ignore_errors=True)


def plot_losses(log: list[Record], name: str, path: Path) -> None:
    """Draw training and validation loss (nats per token) over the tokens seen, as a PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for key, label, colour, marker in (
            ("loss", "training (mean since the last point)", "#0072B2", ""),
            ("eval_loss", "validation", "#D55E00", "o"),
        ):
            points = [(r["tokens"], r[key]) for r in log if key in r]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4)
        axes.set(xlabel="tokens seen", ylabel="loss (nats per token)", title=name)
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        axes.grid(color="#e6e6e6")
        axes.legend(frameon=False)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _record(
    model: Any, log: list[Record], dataset: DatasetLocation, identity: RunIdentity, facts: RunSummary
) -> dict[str, Any]:
    """What `training.json` says; enough to write a model card from, and to know the model again."""
    batches = facts.batches
    losses = [r["loss"] for r in log if "loss" in r]
    measured = [r["eval_loss"] for r in log if "eval_loss" in r]
    rows_seen = batches.rows
    return {
        "name": identity.recipe.name,
        **identity.as_dict(),
        "dataset": {"name": dataset.name, "repository": dataset.repository, "revision": dataset.revision},
        "parameters": count_parameters(model.config),
        "vocab_size": model.config.vocab_size,
        "precision": facts.precision,
        "optimizer": facts.optimizer,
        "steps": batches.steps,
        "batch": asdict(batches)
        | {"sequences": batches.sequences, "tokens_per_step": batches.tokens_per_step},
        "tokens": rows_seen * batches.sequence_length,
        "predicted_tokens": facts.predicted_tokens,
        "sequences": {
            "train": facts.rows,
            "validation": facts.validation_rows,
            "seen": rows_seen,
            "epochs": round(rows_seen / facts.rows, 4),
        },
        "seconds": round(facts.seconds, 2),
        "tokens_per_second": round(rows_seen * batches.sequence_length / max(facts.seconds, 1e-9), 1),
        "resumed_from_step": facts.resumed_from,
        "loss": losses[-1] if losses else None,
        "initial_eval_loss": measured[0] if measured else None,
        "eval_loss": measured[-1] if measured else None,
        "best_eval_loss": min(measured, default=None),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": {
            "l2t_hub": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }


def hardware() -> dict[str, Any]:
    """Say what the run ran on: processor, cores, torch's threads, GPUs."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def device_name() -> str:
    """Say in a few words what this process trains on, and what sets the number of its threads."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads (OMP_NUM_THREADS sets how many)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (s.partition(":")[2].strip() for s in lines if s.startswith("model name")), platform.processor()
    )
