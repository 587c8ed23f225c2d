"""Evaluation: scores models on a suite with lm-evaluation-harness and compares them, with confidence intervals."""

from l2t_hub.evaluate.evaluation import evaluate
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.results import Evaluation

__all__ = ["Evaluation", "evaluate", "read_evaluation"]
