"""Datasets: `build` makes one from a recipe, `verify` checks one, `read_manifest` returns what is in one."""

from l2t_hub.dataset.build import build
from l2t_hub.dataset.manifest import summary_table
from l2t_hub.dataset.verify import VerifyReport, verify
from l2t_hub.records.dataset_manifest import Manifest, read_manifest

__all__ = [
    "Manifest",
    "VerifyReport",
    "build",
    "read_manifest",
    "summary_table",
    "verify",
]
