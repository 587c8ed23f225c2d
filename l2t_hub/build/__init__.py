"""A dataset from a recipe: `build` makes the directory, `verify` checks one, `read_manifest` tells what is in it."""

from l2t_hub.build.make import build
from l2t_hub.build.manifest import Manifest, read_manifest, summary_table
from l2t_hub.build.verify import VerifyReport, verify

__all__ = [
    "Manifest",
    "VerifyReport",
    "build",
    "read_manifest",
    "summary_table",
    "verify",
]
