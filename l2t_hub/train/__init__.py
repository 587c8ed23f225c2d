"""A model, from a recipe and a dataset's packed view. Importing this is light: torch waits until it is needed."""

from l2t_hub.train.train_model import TrainResult, finished, train

__all__ = ["TrainResult", "finished", "train"]
