"""The recipe inside a record: a plain tree, of which the keys that readers use are checked.

A record may be of a version whose recipes have other keys. What only rebuilding needs is checked when the tree
becomes a `Recipe`; this checks what verifying, loading and showing a release reads.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from l2t_hub.records.bounds import (
    MAX_BLOCK_TOKENS,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_PARTITIONS,
    MAX_PREDICTION_HEADS,
    MAX_RECORDS,
    MAX_SEED,
    MAX_WIDTH,
    Batch,
    Name,
    ReleaseName,
    SequenceLength,
    Steps,
    Text,
    Vocabulary,
)
from l2t_hub.records.reading import Record, explain

_Block = Annotated[int, Field(ge=1, le=MAX_BLOCK_TOKENS)]
_Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]
_Heads = Annotated[int, Field(ge=1, le=MAX_HEADS)]
_Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]


class _Keys(Record):
    model_config = ConfigDict(extra="ignore")


class _Source(_Keys):
    path: Text | None
    dataset: Text | None
    limit: Annotated[int, Field(ge=1, le=MAX_RECORDS)] | None = None
    language: Text | Annotated[list[Text] | tuple[Text, ...], Field(max_length=1000)] = "en"


class _Blocks(_Keys):
    tokens_per_block: _Block
    min_words: _Block


class _Mixture(_Keys):
    scheme: Name
    modules: Annotated[list[Text], Field(max_length=1000)]


class _Tokenizer(_Keys):
    name: Text | None
    vocab_size: Vocabulary | None = None


class _Packing(_Keys):
    sequence_length: SequenceLength


class _Build(_Keys):
    partitions: Annotated[int, Field(ge=1, le=MAX_PARTITIONS)]
    raw: Literal["text", "ids", "none"]
    packed: bool
    examples: Literal["all", "none"] | Annotated[int, Field(ge=0, le=MAX_RECORDS)]


class _Model(_Keys):
    num_hidden_layers: _Layers | None = None
    hidden_size: _Width | None = None
    num_attention_heads: _Heads | None = None
    num_key_value_heads: _Heads | None = None
    head_dim: _Width | None = None
    intermediate_size: _Width | None = None


class _Objective(_Keys):
    kind: Name
    heads: Annotated[int, Field(ge=1, le=MAX_PREDICTION_HEADS)]
    head: Name
    curriculum: Name
    phases: Steps | None = None


class _Train(_Keys):
    max_steps: Steps
    stop_after_steps: Steps | None = None
    batch_size: Batch
    per_device_train_batch_size: Batch
    warmup_steps: Steps
    logging_steps: Steps
    eval_steps: Steps
    save_steps: Steps


class _DataRecipe(_Keys):
    name: ReleaseName
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    source: _Source
    blocks: _Blocks
    mixture: _Mixture
    tokenizer: _Tokenizer
    packing: _Packing
    build: _Build
    model: _Model | None = None
    train: _Train | None = None


class _Recipe(_DataRecipe):
    model: _Model
    objective: _Objective | None = None
    train: _Train


def _checked(tree: dict[str, Any], schema: type[_DataRecipe]) -> dict[str, Any]:
    try:
        schema.model_validate(tree)
    except ValidationError as error:
        raise ValueError(explain(error, schema)) from None
    return tree


RecipeTree = Annotated[dict[str, Any], AfterValidator(partial(_checked, schema=_Recipe))]
"""A resolved recipe, as `Recipe.resolved` returns it."""
DataRecipeTree = Annotated[dict[str, Any], AfterValidator(partial(_checked, schema=_DataRecipe))]
"""The keys of a resolved recipe that decide a dataset, as `Recipe.resolved("data")` returns them."""


def tokens_after(recipe: Mapping[str, Any], steps: int) -> int:
    """Return the tokens, padding included, that a run of a resolved recipe has read after so many steps."""
    return steps * int(recipe["train"]["batch_size"]) * int(recipe["packing"]["sequence_length"])
