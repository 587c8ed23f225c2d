"""The models of the page: loaded when first asked for, the few used last kept, scored through `l2t_hub.scoring`."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock

from l2t_hub.demo.page import ScoreFunction
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score, Scorer, load_scorer, score

KEPT = 4
"""Models in memory at once: two are compared, two more make going back and forth quick (1b: 2 GB each in bf16)."""


def lazy_scores(models: Mapping[str, str]) -> ScoreFunction:
    """Give the function that scores sentences by a model of the page (`models`: name -> path or Hub name).

    It raises UserError for a model that cannot be loaded (and tries again next time), for a sentence the model cannot
    read, and for a model whose probabilities are no numbers.
    """
    lock = Lock()

    @lru_cache(maxsize=KEPT)
    def loaded(model: str) -> Scorer:
        return load_scorer(model)

    def scores(name: str, sentences: Sequence[str]) -> list[Score]:
        # One at a time: a second visitor would else load the same model again.
        with lock:
            found = score(loaded(models[name]), sentences)
        if not all(math.isfinite(sentence.bits) for sentence in found):
            raise UserError(
                f"{name} gives no probabilities, only NaN.", "Its training diverged: look at its loss curve."
            )
        if not all(sentence.tokens for sentence in found):
            raise UserError(
                f"The tokenizer of {name} makes nothing of a sentence.", "Is tokenizer.json beside the model?"
            )
        return found

    return scores
