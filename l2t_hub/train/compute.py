"""The floating-point operations of training a recipe, with the further heads of a multi-token objective."""

from l2t_hub.recipe import Recipe
from l2t_hub.train.architecture import architecture
from l2t_hub.train.curriculum import active_heads, changes


def flops_per_token(recipe: Recipe, vocab_size: int, heads: int = 1) -> int:
    """Return what training on a token takes with `heads` active prediction heads.

    Raises UsageError for an invalid recipe.
    """
    shape, length = architecture(recipe), recipe.packing.sequence_length
    further = shape.head_flops_per_token(recipe.objective.head, vocab_size, length)
    return shape.flops_per_token(vocab_size, length) + (heads - 1) * further


def mean_flops_per_token(recipe: Recipe, vocab_size: int, steps: int | None = None) -> float:
    """Return the mean of `flops_per_token` over the first `steps` optimiser steps, which a curriculum divides.

    Without `steps`, over all of them. Raises UsageError for an invalid recipe.
    """
    total = steps or recipe.train.max_steps
    starts = [step for step, _ in changes(recipe) if step < total]
    spans = zip(starts, [*starts[1:], total], strict=True)
    return (
        sum((end - a) * flops_per_token(recipe, vocab_size, active_heads(recipe, a)) for a, end in spans)
        / total
    )
