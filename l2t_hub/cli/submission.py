"""`l2t train --on`: a training is submitted to run elsewhere, or what would be submitted is printed."""

import shlex
from pathlib import Path

import yaml

from l2t_hub.cli.terminal import answer, progress
from l2t_hub.launch.train_command import SLURM, TrainCommand
from l2t_hub.recipe import Recipe


def submit_elsewhere(
    place: str,
    typed: TrainCommand,
    recipe: Recipe,
    hardware: tuple[str | None, float | None, list[str] | None],
    print_only: bool,
    as_json: bool,
) -> None:
    """Submit a training to a place that `check_place` accepts. `hardware` is flavor, hours and secrets of a Job."""
    if place == SLURM:
        _submit_to_slurm(typed, recipe, print_only, as_json)
        return
    flavor, hours, secrets = hardware
    _submit_job(typed, recipe, flavor or "", hours or 0, tuple(secrets or ()), print_only, as_json)


def _submit_to_slurm(typed: TrainCommand, recipe: Recipe, print_only: bool, as_json: bool) -> None:
    """Submit a training as a Slurm job, or print what would be submitted. Nothing is submitted twice."""
    from l2t_hub.hub.connect import connected_for
    from l2t_hub.launch.slurm_job import SlurmJob, processes, submit

    with connected_for(typed.hub, typed.data):
        from l2t_hub.train import check_start

        unfinished = check_start(
            recipe, typed.data, typed.out, processes(recipe), follow_data=typed.follow_data
        )
    on_hub = typed.push is not None or not Path(typed.data).exists()
    job = SlurmJob(recipe, typed.out, typed.arguments(), Path.cwd(), on_hub)
    if print_only:
        answer(
            as_json,
            {"command": job.submission(), "script": job.script()},
            f"# {shlex.join(job.submission())}",
            job.script().rstrip(),
        )
        return
    if not unfinished:
        answer(as_json, {"job": None}, f"{typed.out}: already finished, nothing is submitted")
        return
    if (number := job.queued()) is not None:
        answer(
            as_json, {"job": number}, f"{typed.out}: in the queue as Slurm job {number}, nothing is submitted"
        )
        return
    if recipe.cluster.setup:
        progress(
            f"the job runs the recipe's command ({recipe.where('cluster.setup')}): {recipe.cluster.setup}"
        )
    number = submit(job)
    lines = (
        f"submitted as Slurm job {number}. Output: {job.files / number}.out",
        f"The job queues itself again until the model is finished. To cancel it: scancel {number}",
    )
    answer(as_json, {"job": number, "folder": str(job.files)}, *lines)


def _submit_job(
    typed: TrainCommand,
    recipe: Recipe,
    flavor: str,
    hours: float,
    secrets: tuple[str, ...],
    print_only: bool,
    as_json: bool,
) -> None:
    """Start a training as a Hugging Face Job, or print what would be started. Secrets are named only."""
    from l2t_hub.hub.connect import connected
    from l2t_hub.hub.reachability import check_reachable

    with connected(typed.hub) as endpoint:
        check_reachable(endpoint.url)
        from l2t_hub.launch.hub_job import RECIPE_FILE, TOKEN, WHEEL, HubJob, checked, submit

        job = checked(HubJob(recipe, typed, flavor, hours, secrets))
        if print_only:
            shown = {**job.request("REVISION"), "secrets": [TOKEN, *secrets], "files": [RECIPE_FILE, WHEEL]}
            answer(
                as_json,
                shown,
                yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000).rstrip(),
            )
            return
        started = submit(job, endpoint, progress)
    lines = [f"started as Job {started['id']}: {started['url']}", f"Its output: hf jobs logs {started['id']}"]
    if endpoint.is_local_hub:
        lines = [f"kept as Job {started['id']}: this is a rehearsal, and the local Hub runs no Jobs"]
    answer(as_json, started, *lines)
