"""A Hub-centric release toolkit for L2T: language learning tasks as pre-training data for causal language models."""

__version__ = "0.1.0"
