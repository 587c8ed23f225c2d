"""How many heads of a multi-token objective are active at a step (Aynetdinov and Akbik 2025, arXiv 2505.22757).

With K heads and E phases, the phase e has min(K, floor(e / (E / K)) + 1) active heads in a forward curriculum, and
max(1, K - floor(e / (E / K))) in a reverse one. Phases are equal shares of the steps of the schedule. All of it is
computed with integers, since e / (E / K) in floating point can fall below a whole number.
"""

from bisect import bisect_left
from collections.abc import Iterator

from l2t_hub.recipe import Recipe
from l2t_hub.text import counted


def heads_in_phase(curriculum: str, heads: int, phases: int, phase: int) -> int:
    """Return the number of active heads in a phase, counted from 0. Active are always the first ones."""
    share = phase * heads // phases
    if curriculum == "forward":
        return min(heads, share + 1)
    return max(1, heads - share) if curriculum == "reverse" else heads


def active_heads(recipe: Recipe, step: int) -> int:
    """Return the number of active heads in optimiser step `step`, counted from 0; 1 for next-token training."""
    objective, steps = recipe.objective, recipe.train.max_steps
    if objective.kind == "next_token":
        return 1
    phases = objective.phases or objective.heads
    return heads_in_phase(
        objective.curriculum, objective.heads, phases, min(step, steps - 1) * phases // steps
    )


def describe_objective(recipe: Recipe) -> str:
    """Return the objective in a line: the heads, and the steps from which a curriculum has how many of them."""
    objective = recipe.objective
    if objective.kind == "next_token":
        return "the next token"
    text = f"the next {counted(objective.heads, 'token')}"
    if objective.heads > 1:
        text += f", {counted(objective.heads - 1, 'further head')} ({objective.head})"
    if objective.curriculum != "none":
        joins = [f"{heads} from step {step:,}" for step, heads in changes(recipe)]
        text += f", {objective.curriculum} curriculum: active heads {', '.join(joins)}"
    return text


def changes(recipe: Recipe) -> Iterator[tuple[int, int]]:
    """Yield (step, active heads) for step 0 and each step from which their number is another."""
    step, steps = 0, recipe.train.max_steps
    while step < steps:
        heads = active_heads(recipe, step)
        yield step, heads
        # The number only rises or only falls, so that steps with another number are the last ones.
        step = bisect_left(range(steps), True, lo=step, key=lambda s: active_heads(recipe, s) != heads)
