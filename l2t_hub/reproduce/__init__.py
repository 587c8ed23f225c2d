"""Reproduces a release: rebuilds or retrains it from its records and compares the result with what was published."""

from l2t_hub.reproduce.checks import Check, ReproduceReport
from l2t_hub.reproduce.reproduction import reproduce

__all__ = ["Check", "ReproduceReport", "reproduce"]
