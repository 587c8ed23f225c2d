"""A run in Trackio (`train.trackio`): what the log has, on a dashboard on this machine or in a Space."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.records.public_recipe import public_recipe
from l2t_hub.train.training_log import Record, TrainingLog


@contextmanager
def tracked(recipe: Recipe, training_log: TrainingLog) -> Iterator[None]:
    """Send the records of a run to Trackio, if the recipe names a project; only the first process does.

    A run that continues goes on under its name. Raises UserError if Trackio is missing or cannot start. A record that
    it cannot take later stops nothing: the log is on the disk.
    """
    if recipe.train.trackio is None or not is_main_process():
        yield
        return
    require("trackio", "`train.trackio`")
    import trackio

    with redirect_stdout(sys.stderr):  # stdout is for the result
        try:
            trackio.init(
                project=recipe.train.trackio,
                name=recipe.name,
                space_id=recipe.train.trackio_space,
                config=public_recipe(recipe.resolved()),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        except Exception as error:  # it raises errors of several libraries
            reason = str(error).split("\n")[0] or type(error).__name__
            raise UserError(
                f"Trackio cannot start: {reason}", "To train without it, add --set train.trackio=null."
            ) from error
    training_log.listener = _sender(training_log.show, trackio.log)
    try:
        yield
    finally:
        training_log.listener = None
        with redirect_stdout(sys.stderr):
            trackio.finish()


def _sender(say: Callable[[str], None], log: Callable[..., None]) -> Callable[[Record], None]:
    """Return a function that sends a record, and says once if that fails."""
    failed = False

    def send(record: Record) -> None:
        nonlocal failed
        try:
            log(_metrics(record), step=record["step"])
        except Exception as error:
            if not failed:
                say(f"Trackio does not take records: {error}. Training goes on, and its log is complete.")
            failed = True

    return send


def _metrics(record: Record) -> dict[str, Any]:
    """Return a record as numbers by name: `held_out/raw`, `pairs/probes`."""
    metrics: dict[str, Any] = {k: v for k, v in record.items() if k != "step" and isinstance(v, int | float)}
    metrics |= {f"held_out/{part}": loss["loss"] for part, loss in record.get("held_out", {}).items()}
    if "pairs" in record:
        metrics[f"pairs/{record['pairs']['suite']}"] = record["pairs"]["accuracy"]
    return metrics
