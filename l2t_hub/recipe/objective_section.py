"""The section `objective`: how many tokens a position predicts, with which heads, and in which order they join."""

from typing import Literal, Self

from pydantic import Field, model_validator

from l2t_hub.recipe.section import DoesNotApplyError, Section
from l2t_hub.records import bounds


class ObjectiveSection(Section):
    """What a position predicts: the next token, or the next K tokens with a head for each (multi-token prediction).

    Heads after Gloeckle et al. 2024 (arXiv 2404.19737), curricula after Aynetdinov and Akbik 2025 (arXiv 2505.22757).
    """

    kind: Literal["next_token", "mtp"] = "next_token"
    """next_token, or mtp: multi-token prediction."""
    heads: int = Field(default=4, ge=1, le=bounds.MAX_PREDICTION_HEADS)
    """mtp: how many of the next tokens are predicted. The first head is that of the ordinary model."""
    head: Literal["layer", "linear"] = "layer"
    """mtp: what each further head is before the shared output layer: a layer parallel to the last, or one matrix."""
    curriculum: Literal["none", "forward", "reverse"] = "none"
    """mtp: all heads from the start (none); from one head to all (forward); from all heads to one (reverse)."""
    phases: int | None = Field(default=None, ge=1, le=bounds.MAX_STEPS)
    """Phases of a curriculum, equal shares of `train.max_steps`; null means one for each head."""

    @model_validator(mode="after")
    def _keys_fit_kind(self) -> Self:
        if self.kind == "next_token":
            for key in ("heads", "head", "curriculum", "phases"):
                if key in self.model_fields_set:
                    raise DoesNotApplyError(
                        f"`objective.{key}` applies only to kind mtp, not to next_token",
                        (f"objective.{key}", "objective.kind"),
                    )
        if self.phases is not None and self.curriculum == "none":
            raise DoesNotApplyError(
                "`objective.phases` applies only to a forward or reverse curriculum",
                ("objective.phases", "objective.curriculum"),
            )
        if self.phases is not None and self.phases < self.heads:
            raise ValueError(
                f"`objective.phases` ({self.phases}) must be at least `objective.heads` ({self.heads}): "
                "with fewer phases, some heads would never be trained"
            )
        return self
