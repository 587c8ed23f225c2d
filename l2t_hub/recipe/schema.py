"""The schema of a recipe: every key with its type, default and meaning, in one place.

The docstring under a field is its documentation: `l2t recipes keys` and `docs/recipe.md` are made from it.
A recipe is checked here once; everything behind it trusts its types.
"""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

Scope = Literal["data", "model"]


class Section(BaseModel):
    """A group of keys: frozen, strict, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


class SourceSection(Section):
    """Where the text comes from."""

    path: str | None = None
    """`bundled:sample`, or a Parquet, JSON Lines (also .gz, .bz2, .xz, .zst) or text file, a folder, or a glob."""
    dataset: str | None = None
    """A Hub dataset, as `namespace/name`, read by streaming. Give this or `path`."""
    config: str | None = None
    """The dataset's configuration name."""
    split: str = "train"
    """The dataset's split."""
    revision: str | None = None
    """The dataset's revision; pin a commit hash to make the recipe reproducible."""
    text_column: str = "text"
    """The column that holds a document's text."""
    id_column: str | None = "id"
    """The column that holds a document's id; null numbers the documents by file and row."""
    token_count_column: str | None = None
    """A column that already holds the document's token count, dotted for nested ones; null counts them."""
    limit: int | None = Field(default=None, ge=1)
    """Read only this many documents, the first in source order."""
    title: str | None = None
    """What the text is, for the dataset card."""
    license: str | None = None
    """The licence of the text, as a Hub identifier (`cc0-1.0`, `odc-by`), for the dataset card."""
    url: str | None = None
    """Where the text is described, for the dataset card."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either `path` or `dataset`, and set the other to null")
        if self.path is not None and (self.config or self.revision):
            raise ValueError("`config` and `revision` belong to a Hub `dataset`, not to a `path`")
        return self


class BlocksSection(Section):
    """How a document is cut into blocks (one example is made from each)."""

    sentences: Literal["sentencex", "blingfire"] = "sentencex"
    """The sentence splitter; the paper used BlingFire."""
    tokens_per_block: int = Field(default=512, ge=16)
    """A document of c tokens gets floor(c / this) + 1 blocks."""
    min_words: int = Field(default=20, ge=1)
    """Blocks of fewer whitespace-separated words are dropped."""


class MixtureSection(Section):
    """Which document becomes what: drawn by the document's id.

    A raw share in tokens costs one more reading of the source, which finds the threshold of the draws that gives it.
    """

    scheme: Literal["raw", "disjoint", "shared", "single"] = "disjoint"
    """raw: all raw text; disjoint: each document raw or task data; shared: every document both; single: one task."""
    raw_share: float = Field(default=0.5, ge=0, le=1)
    """The share of raw text in a disjoint mixture, in `unit`."""
    unit: Literal["documents", "tokens"] = "documents"
    """What `raw_share` counts: documents (the paper), or tokens in sequences, reached by weighing documents first."""
    task: str | None = None
    """The one task of scheme single."""
    tasks: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The tasks of disjoint and shared mixtures; null means all fourteen."""
    modules: tuple[str, ...] = ()
    """Python modules or .py files that add tasks of your own."""

    @model_validator(mode="after")
    def _keys_fit_scheme(self) -> Self:
        if (self.scheme == "single") != (self.task is not None):
            raise ValueError("`task` names the one task of scheme single, and of no other")
        if "raw_share" in self.model_fields_set and self.scheme != "disjoint":
            raise ValueError(f"`raw_share` means nothing for scheme {self.scheme}; only disjoint has one")
        if "unit" in self.model_fields_set and self.scheme != "disjoint":
            raise ValueError(f"`unit` means nothing for scheme {self.scheme}; only disjoint has a raw share")
        if self.tasks is not None and self.scheme not in ("disjoint", "shared"):
            raise ValueError(f"`tasks` means nothing for scheme {self.scheme}; use disjoint or shared")
        if self.tasks is not None and len(set(self.tasks)) != len(self.tasks):
            raise ValueError("`tasks` names a task twice")
        return self


class TokenizerSection(Section):
    """The tokenizer: an existing one, or one trained on the recipe's own text."""

    name: str | None = None
    """A local directory or Hub name of a fast tokenizer; null trains a byte-level BPE on the training split."""
    revision: str | None = None
    """The Hub revision of `name`."""
    vocab_size: int = Field(default=4096, ge=300)
    """Entries of a trained tokenizer."""
    bos: bool = True
    """Put the beginning-of-sequence token in front of every raw document and every example."""

    @model_validator(mode="after")
    def _trained_or_named(self) -> Self:
        if self.name is not None and "vocab_size" in self.model_fields_set:
            raise ValueError("`vocab_size` is for a tokenizer trained here; `name` already has its own")
        if self.name is None and self.revision is not None:
            raise ValueError("`revision` needs a `name`")
        return self


class PackingSection(Section):
    """How tokens become training sequences."""

    sequence_length: int = Field(default=2048, ge=32)
    """Tokens per sequence."""
    scheme: Literal["best_fit", "paper"] = "best_fit"
    """How whole examples are packed; paper: batches of 1,000, shortest pack first."""


class ValidationSection(Section):
    """The held-out documents: chosen by id alone, so that no later change of size moves one across the split.

    A training document near-identical to a held-out one (8-word shingles, MinHash), wherever in the source it stands,
    is dropped, named and counted; that costs one more reading of the source.
    """

    share: float = Field(default=0.1, ge=0, lt=1)
    """The share of documents held out, chosen by id."""
    near_duplicates: Literal["drop", "keep"] = "drop"
    """What becomes of training documents near-identical to a held-out one; to drop them the source is read twice."""


class BuildSection(Section):
    """What a dataset directory holds, and how the work is divided."""

    partitions: int = Field(default=1, ge=1)
    """Into how many contiguous parts the source is cut: the unit of parallel work, of resuming and of shards."""
    raw: Literal["text", "ids", "none"] = "text"
    """The raw view: documents with their text, their ids only, or no such view."""
    packed: bool = True
    """Whether to write the packed view, which training reads."""
    examples: Literal["all", "none"] | int = "all"
    """The examples view: all of them, none, or at most this many rows per task and partition."""
    on_error: Literal["stop", "drop"] = "stop"
    """What an unreadable row, text or file does: stop the build, or be dropped, named and counted."""


# Options of sbatch that the build itself decides.
SBATCH_OURS = {
    "array", "dependency", "error", "export", "job-name", "mem", "mem-per-cpu", "nodes", "ntasks", "output",
    "partition", "account", "qos", "requeue", "time", "wait", "cpus-per-task",
}  # fmt: skip


class ClusterSection(Section):
    """What a task of `l2t build --executor slurm` or `ray` may use; nothing here changes a byte of the result."""

    partition: str | None = None
    """Slurm: the partition to submit to; null takes the cluster's default."""
    account: str | None = None
    """Slurm: the account that is charged."""
    qos: str | None = None
    """Slurm: the quality of service."""
    hours: float = Field(default=4.0, gt=0)
    """Slurm: the time limit of a task (one partition of the source), in hours."""
    memory_gb: int = Field(default=2, ge=1)
    """Slurm and Ray: memory of a task, in GB; a task uses one core."""
    max_array_size: int = Field(default=1001, ge=1)
    """Slurm: the cluster's MaxArraySize; more partitions than this become several jobs, one after the other."""
    setup: str | None = None
    """Slurm: a shell command before each task, such as `module load gcc`; the Python of `l2t` is found anyway."""
    sbatch: dict[str, str] = {}
    """Slurm: any other option of sbatch, by its long name without dashes, such as `constraint: icelake`."""

    @model_validator(mode="after")
    def _options_are_free(self) -> Self:
        ours = sorted(SBATCH_OURS & set(self.sbatch))
        if ours:
            raise ValueError(f"`sbatch` cannot set {', '.join(ours)}: the build or a key of `cluster` does")
        return self


class ModelSection(Section):
    """The architecture (Qwen2): a named size, any part of which may be overridden."""

    size: Literal["nano", "100m", "500m", "1b"] = "500m"
    """A row of the table in `l2t_hub/train/model.py`."""
    num_hidden_layers: int | None = Field(default=None, ge=1)
    """Layers, where they differ from the size's."""
    hidden_size: int | None = Field(default=None, ge=8)
    """Width, where it differs from the size's."""
    num_attention_heads: int | None = Field(default=None, ge=1)
    """Query heads, where they differ from the size's."""
    num_key_value_heads: int | None = Field(default=None, ge=1)
    """Key and value heads, where they differ from the size's."""
    head_dim: int | None = Field(default=None, ge=2)
    """Width of a head, where it differs from the size's."""
    intermediate_size: int | None = Field(default=None, ge=8)
    """Width of the MLP, where it differs from the size's."""


class TrainSection(Section):
    """The training run, in the terms of transformers' TrainingArguments where it has them."""

    max_steps: int = Field(default=200_000, ge=1)
    """Optimiser steps of the schedule."""
    stop_after_steps: int | None = Field(default=None, ge=1)
    """Stop here although the schedule goes on to `max_steps`, as the paper's single-task models do."""
    batch_size: int = Field(default=256, ge=1)
    """Sequences per optimiser step, over all devices and accumulation steps."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Sequences a device holds at once; accumulation makes up the rest of `batch_size`."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """Peak learning rate."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """The schedule after warm-up; cosine and linear end at 0."""
    warmup_steps: int = Field(default=2000, ge=0)
    """Steps of linear warm-up."""
    weight_decay: float = Field(default=0.1, ge=0)
    """AdamW's weight decay."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's first moment decay."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """AdamW's second moment decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradient clipping norm."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Weights and arithmetic: bf16 (the paper), fp32, or auto: bf16 on a GPU that has it, else fp32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""
    loss_on_padding: bool = False
    """Train on padding too, as the paper did; otherwise padding is ignored (label -100)."""
    attention: Literal["pack", "example"] = "pack"
    """What a token may attend to: its whole pack (the paper), or only its own example (positions from 0)."""
    logging_steps: int = Field(default=100, ge=1)
    """Write the training loss every this many steps."""
    eval_steps: int = Field(default=1000, ge=1)
    """Measure the loss on the validation split every this many steps."""
    save_steps: int = Field(default=5000, ge=1)
    """Write a checkpoint every this many steps."""
    save_total_limit: int | None = Field(default=2, ge=1)
    """Keep only the newest checkpoints; null keeps all."""

    @model_validator(mode="after")
    def _steps_add_up(self) -> Self:
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"`warmup_steps` ({self.warmup_steps}) must be less than `max_steps` ({self.max_steps})"
            )
        if self.stop_after_steps is not None and self.stop_after_steps > self.max_steps:
            raise ValueError("`stop_after_steps` lies beyond `max_steps`")
        return self


class EvaluationSection(Section):
    """What is measured on the trained models."""

    suites: tuple[Literal["probes", "blimp", "general"], ...] = ("probes",)
    """The suites `l2t run` evaluates."""
    baseline: str | None = None
    """The variant the others are compared with; null means the first."""


# What only says where the source lies; its content digest says what it is.
LOCATION = {"path", "dataset", "config", "split", "revision"}
# Keys that do not change a byte of the result, by section.
NO_TRACE = {
    "source": {"title", "license", "url"},
    "train": {"logging_steps", "eval_steps", "save_steps", "save_total_limit"},
}
SCOPES: dict[str, tuple[str, ...]] = {
    "data": ("source", "blocks", "mixture", "tokenizer", "packing", "validation", "build"),
    "model": ("model", "train"),
}


class Recipe(Section):
    """One release: its text, its tasks and mixture, its model, its training and its evaluation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    """What the release is called: the name of its directories and repositories."""
    description: str = ""
    """One or two sentences for listings and cards."""
    seed: int = Field(default=42, ge=0)
    """The seed every draw is derived from."""
    source: SourceSection
    blocks: BlocksSection = BlocksSection()
    mixture: MixtureSection = MixtureSection()
    tokenizer: TokenizerSection = TokenizerSection()
    packing: PackingSection = PackingSection()
    validation: ValidationSection = ValidationSection()
    build: BuildSection = BuildSection()
    cluster: ClusterSection = ClusterSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()
    variants: dict[str, dict[str, Any]] = {}
    """Releases that differ from this one in the keys given: one dataset and one model each."""

    _places: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _baseline_is_a_variant(self) -> Self:
        baseline = self.evaluation.baseline
        if self.variants and baseline is not None and baseline not in self.variants:
            raise ValueError(
                f"`evaluation.baseline` is {baseline!r}; the variants are {', '.join(self.variants)}"
            )
        return self

    def where(self, key: str) -> str:
        """Say where a dotted key was set ("recipes/nano.yaml:12"), or in which recipe it has its default."""
        return self._places.get(key, f"recipe {self.name}, default") + f": {key}"

    def resolved(self) -> dict[str, Any]:
        """Give every key that applies with its value, defaults included: a plain tree that is a recipe again.

        `cluster` is left out: where a release was made is no part of what it is.
        """
        tree: dict[str, Any] = self.model_dump(mode="json", exclude={"cluster"})
        if self.mixture.scheme != "disjoint":
            del tree["mixture"]["raw_share"], tree["mixture"]["unit"]
        if self.tokenizer.name is not None:
            del tree["tokenizer"]["vocab_size"]
        return tree

    def fingerprint(self, scope: Scope, **contents: str) -> str:
        """Hash what decides the bytes of the dataset ("data") or of the model trained on it ("model").

        `contents` are digests of things the recipe only points at (`source`, `tokenizer`); a section whose
        content is given is known by it and no longer by its location. Names, descriptions, logging and saving
        leave no trace; a key that does not apply (the vocabulary size of a named tokenizer) neither.
        Returns 64 hex digits (SHA-256).
        """
        sections = SCOPES["data"] if scope == "data" else SCOPES["data"] + SCOPES["model"]
        dump = self.resolved()
        told: dict[str, Any] = {"seed": self.seed, **{s: dump[s] for s in sections}}
        for section, keys in NO_TRACE.items():
            told[section] = {k: v for k, v in told.get(section, {}).items() if k not in keys}
        if self.source.path is not None:
            told["source"].pop("split")
        if "source" in contents:
            told["source"] = {k: v for k, v in told["source"].items() if k not in LOCATION}
        if "tokenizer" in contents:
            told["tokenizer"] = {"bos": self.tokenizer.bos}
        canonical = json.dumps({**told, "contents": contents}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
