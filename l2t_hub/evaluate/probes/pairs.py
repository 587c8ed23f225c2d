"""Reads the minimal pairs for lm-evaluation-harness, which imports this file by its path, without l2t_hub."""

import json
from pathlib import Path
from typing import Any

from datasets import Dataset

DATA = Path(__file__).parent / "data"


def pairs(phenomenon: str, **_: Any) -> dict[str, Dataset]:
    """Return the pairs of one phenomenon as the split `test`, without a cache or the network.

    lm-eval also passes a task's metadata and the model arguments of the command line. They are ignored.
    """
    lines = (DATA / f"{phenomenon}.jsonl").read_text(encoding="utf-8").splitlines()
    return {"test": Dataset.from_list([json.loads(line) for line in lines])}
