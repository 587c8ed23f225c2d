"""Greedy text from a model, token by token or with its further heads as drafts. Importing this imports no torch."""

from l2t_hub.generate.continuation import Continuation, Generation, generate

__all__ = ["Continuation", "Generation", "generate"]
