"""Scores models: lm-evaluation-harness runs, the bundled probe suite, comparisons with confidence intervals."""

from l2t_hub.evaluate.evaluation import evaluate
from l2t_hub.evaluate.results import Evaluation, read_evaluation
from l2t_hub.evaluate.table import render_table

__all__ = ["Evaluation", "evaluate", "read_evaluation", "render_table"]
