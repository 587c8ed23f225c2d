"""Training: a model from a recipe and the packed view of a dataset. Importing this package does not import torch."""

from l2t_hub.train.train_model import TrainResult, check_start, finished, train

__all__ = ["TrainResult", "check_start", "finished", "train"]
