"""Recipes at equal numbers of documents: only checkpoints that a run has, and none of a run that ended before."""

import pytest

from l2t_hub.report.recipe_curves import DocumentsRead, RecipeCurve, RecipePoint


def curve(read: DocumentsRead, steps: int) -> RecipeCurve:
    """A recipe with a checkpoint every 1,000 tokens."""
    tokens = [1000 * step for step in range(1, steps + 1)]
    points = [RecipePoint(f"run/step-{t}", t, (0.5, 0.6), read.after(t)) for t in tokens]
    return RecipeCurve("recipe", tuple(points))


@pytest.mark.parametrize(
    ("documents", "tokens"),
    [(99, None), (100, 1000), (199, 1000), (250, 2000), (400, 4000), (499, 4000), (500, None), (900, None)],
)
def test_a_run_that_ended_before_is_not_compared(documents: int, tokens: int | None) -> None:
    found = curve(DocumentsRead(10_000, 100_000), 4).within(documents)
    assert (found and found.tokens) == tokens


def test_a_run_that_reads_its_documents_again_goes_on() -> None:
    found = curve(DocumentsRead(200, 2000), 5).within(220)
    assert found is not None
    assert (found.tokens, found.documents) == (5000, 200)
