"""The section `data`: where training reads its sequences from. No byte of a model depends on it."""

from typing import Literal

from pydantic import Field

from l2t_hub.recipe.section import Section


class DataSection(Section):
    """Where training reads its sequences from. It does not change a byte of the model."""

    mode: Literal["built", "stream"] = "built"
    """A dataset that was built, or the same sequences made from the text during training (`docs/training.md`)."""
    workers: int = Field(default=1, ge=1, le=1024)
    """Stream: number of worker processes that make sequences."""
    cache_gb: float = Field(default=10.0, gt=0, le=1e6)
    """Stream: room in GB for partitions that were read, so that a later epoch need not make them again. Partitions in
    use are kept in any case, and held-out sequences must fit into this room."""
