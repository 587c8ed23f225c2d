"""Follows a release back to its recipe: makes it again and says what is equal, and where it first is not."""

from l2t_hub.reproduce.checks import Check, ReproduceReport
from l2t_hub.reproduce.reproduction import reproduce

__all__ = ["Check", "ReproduceReport", "reproduce"]
