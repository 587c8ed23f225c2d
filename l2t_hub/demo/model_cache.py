"""The models of the page: loaded on first use, the last few kept in memory, scored by `l2t_hub.scoring`."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock

from l2t_hub.demo.page import ScoreFunction
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score, Scorer, load_scorer, score

KEPT = 4
"""Models in memory: the two on the page, and two more for switching back (a 1b model takes 2 GB in bf16)."""


def lazy_scores(models: Mapping[str, str]) -> ScoreFunction:
    """Return a function that scores sentences with a model of the page (`models`: name -> path or Hub name).

    It raises UserError for a model that cannot be loaded (the next call tries again), for a sentence the model cannot
    read, and for a model whose probabilities are NaN.
    """
    lock = Lock()

    @lru_cache(maxsize=KEPT)
    def loaded(model: str) -> Scorer:
        return load_scorer(model)

    def scores(name: str, sentences: Sequence[str]) -> list[Score]:
        # One call at a time, so that two visitors do not load the same model twice.
        with lock:
            scored = score(loaded(models[name]), sentences)
        if not all(math.isfinite(sentence.bits) for sentence in scored):
            raise UserError(
                f"{name}: all probabilities are NaN", "The training may have diverged. Check its loss curve."
            )
        if not all(sentence.tokens for sentence in scored):
            raise UserError(
                f"{name}: the tokenizer returns no tokens for this sentence",
                "Check that tokenizer.json is in the model's folder.",
            )
        return scored

    return scores
