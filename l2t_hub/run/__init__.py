"""`l2t run`: the whole pipeline, from a recipe to published models and a report."""

from l2t_hub.run.stages import RunResult, run_recipe

__all__ = ["RunResult", "run_recipe"]
