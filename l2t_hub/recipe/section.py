"""What every section of a recipe is, and the error of a key that does not go with another."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of keys. Immutable; values are not converted, and unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a key's type is, or None for a key with a value."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


class DoesNotApplyError(ValueError):
    """A key that is set does not go with another one.

    `yields` are pairs (key, other) of dotted keys: the loader leaves `key` out where `other` was set by a later layer
    of the recipe. Keys that one layer sets together are an error.
    """

    def __init__(self, message: str, *yields: tuple[str, str]) -> None:
        super().__init__(message)
        self.yields = yields
