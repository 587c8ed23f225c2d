"""The schema of a recipe: every key with its type, default and meaning.

The docstring under a field is its documentation: `l2t recipes keys` and `docs/recipe.md` are generated from it. A
recipe is checked here once; all other code trusts its types.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from l2t_hub.errors import nearest
from l2t_hub.recipe.cluster_section import ClusterSection
from l2t_hub.recipe.data_section import DataSection
from l2t_hub.recipe.objective_section import ObjectiveSection
from l2t_hub.recipe.section import DoesNotApplyError, Section
from l2t_hub.recipe.source_section import SourceSection
from l2t_hub.recipe.train_section import TrainSection
from l2t_hub.records import bounds

Scope = Literal["data", "model"]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=bounds.MAX_SEED)], ...], Field(max_length=bounds.MAX_SEEDS)
]


class BlocksSection(Section):
    """How a document is cut into blocks. Each block gives one example."""

    sentences: Literal["sentencex", "blingfire"] = "sentencex"
    """Sentence splitter; the paper used BlingFire."""
    tokens_per_block: int = Field(default=512, ge=16, le=bounds.MAX_BLOCK_TOKENS)
    """Target length of a block: a document of c tokens is cut into floor(c / `tokens_per_block`) + 1 blocks."""
    min_words: int = Field(default=20, ge=1, le=bounds.MAX_BLOCK_TOKENS)
    """Blocks with fewer words are dropped."""


class MixtureSection(Section):
    """Whether a document becomes raw text, task examples or both; its id and the seed decide.

    A raw share in tokens takes one more pass over the source, to find the share of documents that gives it.
    """

    scheme: Literal["raw", "disjoint", "shared", "single"] = "disjoint"
    """raw: raw text only; disjoint: raw text or examples; shared: both from every document; single: one task only."""
    raw_share: float = Field(default=0.5, ge=0, le=1)
    """Share of raw text in scheme disjoint, from 0 to 1, measured in `unit`."""
    unit: Literal["documents", "tokens"] = "documents"
    """Unit of `raw_share`: documents (the paper), or tokens in training sequences."""
    task: str | None = None
    """The task of scheme single."""
    tasks: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Tasks of schemes disjoint and shared; null means all fourteen."""
    modules: tuple[str, ...] = ()
    """Python modules or .py files that define your own tasks."""

    @model_validator(mode="after")
    def _keys_fit_scheme(self) -> Self:
        if self.scheme == "single" and self.task is None:
            raise ValueError("`mixture.task` is required for scheme single")
        if self.scheme != "single" and self.task is not None:
            raise self._not_in_scheme("task", "scheme single")
        for key in ("raw_share", "unit"):
            if key in self.model_fields_set and self.scheme != "disjoint":
                raise self._not_in_scheme(key, "scheme disjoint")
        if self.tasks is not None and self.scheme not in ("disjoint", "shared"):
            raise self._not_in_scheme("tasks", "schemes disjoint and shared")
        if self.tasks is not None and len(set(self.tasks)) != len(self.tasks):
            raise ValueError("`mixture.tasks` lists a task twice")
        return self

    def _not_in_scheme(self, key: str, schemes: str) -> DoesNotApplyError:
        return DoesNotApplyError(
            f"`mixture.{key}` applies only to {schemes}, not to {self.scheme}",
            (f"mixture.{key}", "mixture.scheme"),
        )


class TokenizerSection(Section):
    """An existing tokenizer, or one trained on the recipe's own text."""

    name: str | None = None
    """Local directory or Hub name of a fast tokenizer; null trains a byte-level BPE on the training split."""
    revision: str | None = None
    """Hub revision of `name`."""
    vocab_size: int = Field(default=4096, ge=300, le=bounds.MAX_VOCABULARY)
    """Vocabulary size of a trained tokenizer."""
    bos: bool = True
    """Put the beginning-of-sequence token before every raw document and every example."""
    eos: bool = False
    """Put the end-of-sequence token after every example, so that a model can answer and stop; the paper has none."""

    @model_validator(mode="after")
    def _trained_or_named(self) -> Self:
        if self.name is not None and "vocab_size" in self.model_fields_set:
            raise DoesNotApplyError(
                "`tokenizer.vocab_size` applies only if `tokenizer.name` is null",
                ("tokenizer.vocab_size", "tokenizer.name"),
            )
        if self.name is None and self.revision is not None:
            raise DoesNotApplyError(
                "`tokenizer.revision` requires `tokenizer.name`", ("tokenizer.revision", "tokenizer.name")
            )
        return self


class PackingSection(Section):
    """How tokens become training sequences."""

    sequence_length: int = Field(default=2048, ge=32, le=bounds.MAX_SEQUENCE_LENGTH)
    """Number of tokens in a training sequence."""
    scheme: Literal["best_fit", "paper"] = "best_fit"
    """How examples are packed: best_fit fills sequences best; paper packs each 1,000 examples as the paper did."""


class ValidationSection(Section):
    """The held-out documents.

    A document's id and the seed decide, so that a document stays in its split when the source grows. Dropping near
    duplicates takes one more pass over the source.
    """

    share: float = Field(default=0.1, ge=0, lt=1)
    """Share of documents to hold out, from 0 up to but excluding 1."""
    files: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Globs of the files from which documents are held out, such as `shard-00*`: files of `source.path`, or Parquet
    files of `source.dataset`; null means all. `share` is a share of the documents of these files."""
    near_duplicates: Literal["drop", "keep"] = "drop"
    """Drop or keep training documents that are nearly identical to a held-out one (MinHash of 8-word shingles)."""


class BuildSection(Section):
    """What a dataset contains, and how the work is divided."""

    partitions: int = Field(default=1, ge=1, le=bounds.MAX_PARTITIONS)
    """Number of contiguous parts of the source: the unit of parallel work, of resuming and of shards."""
    raw: Literal["text", "ids", "none"] = "text"
    """Raw view: documents with their text, document ids only, or no such view."""
    packed: bool = True
    """Write the packed view, which training reads."""
    examples: Literal["all", "none"] | int = "all"
    """Examples view: all examples, none, or at most this many per task and partition."""
    on_error: Literal["stop", "drop"] = "stop"
    """Unreadable rows, texts and files: stop the build, or drop them and count them in the manifest."""

    @model_validator(mode="after")
    def _examples_are_a_count(self) -> Self:
        if isinstance(self.examples, int) and not 0 <= self.examples <= bounds.MAX_RECORDS:
            raise ValueError(f"`examples` must be a number of rows, not {self.examples}")
        return self


class ModelSection(Section):
    """The architecture (Qwen2): a size, and keys that override parts of it; null keeps the value of the size."""

    size: Literal["nano", "100m", "500m", "1b"] = "500m"
    """Named size. `l2t_hub/train/architecture.py` has the table of sizes."""
    num_hidden_layers: int | None = Field(default=None, ge=1, le=bounds.MAX_LAYERS)
    """Number of layers."""
    hidden_size: int | None = Field(default=None, ge=8, le=bounds.MAX_WIDTH)
    """Width of the hidden states."""
    num_attention_heads: int | None = Field(default=None, ge=1, le=bounds.MAX_HEADS)
    """Number of query heads."""
    num_key_value_heads: int | None = Field(default=None, ge=1, le=bounds.MAX_HEADS)
    """Number of key and value heads."""
    head_dim: int | None = Field(default=None, ge=2, le=bounds.MAX_WIDTH)
    """Width of a head."""
    intermediate_size: int | None = Field(default=None, ge=8, le=bounds.MAX_WIDTH)
    """Width of the MLP."""


class EvaluationSection(Section):
    """What is measured on the trained models."""

    suites: tuple[Literal["probes", "blimp", "general", "tasks", "psychometric"], ...] = ("probes",)
    """Suites that `l2t run` evaluates."""
    text: str | None = None
    """Suite tasks: a file or folder of English text that no model was trained on; null means held-out passages."""
    baseline: str | None = None
    """Variant that the others are compared with; null means the first."""
    held_out_documents: int = Field(default=64, ge=0, le=1024)
    """Held-out documents on which `l2t run` measures every model, as raw text and as examples of each task."""
    along_training: int | None = Field(default=None, ge=1, le=bounds.MAX_RECORDS)
    """`l2t run` scores every kept checkpoint, too: on this many examples of each task of a suite (in BLiMP, of each
    paradigm), and on all probes. Null scores finished models only."""
    pairs: str = "probes"
    """Minimal pairs that are scored during training: probes, or a suite file (.yaml)."""
    pairs_steps: int | None = Field(default=None, ge=1, le=bounds.MAX_STEPS)
    """Steps between two scorings of `pairs` during training; null scores none."""


# Keys that say where the source is. Once the digest of its content is known, they do not matter.
LOCATION_KEYS = {"path", "dataset", "config", "split", "revision"}
# Keys that do not change the result, by section. Those of memory change it only by rounding.
UNFINGERPRINTED_KEYS = {
    "source": {"title", "license", "url"},
    "train": {
        "logging_steps", "eval_steps", "save_steps", "save_total_limit", "stop_on_spike", "trackio", "trackio_space",
        "per_device_train_batch_size", "gradient_checkpointing", "parallelism",
        "torch_compile", "attn_implementation",
    },
}  # fmt: skip
# Keys that recipes did not have at first. With its default, such a key is left out of a resolved recipe, so that the
# records and fingerprints of earlier releases stay as they are.
LATER_KEYS = (
    ("train", "shuffle"),
    ("train", "stop_on_spike"),
    ("train", "trackio"),
    ("train", "trackio_space"),
    ("train", "parallelism"),
    ("train", "torch_compile"),
    ("train", "attn_implementation"),
    ("train", "decay_share"),
    ("train", "decay_type"),
    ("evaluation", "text"),
    ("evaluation", "held_out_documents"),
    ("evaluation", "pairs"),
    ("evaluation", "pairs_steps"),
    ("evaluation", "along_training"),
)
SCOPES: dict[str, tuple[str, ...]] = {
    "data": ("source", "blocks", "mixture", "tokenizer", "packing", "validation", "build"),
    "model": ("model", "objective", "train"),
}


class Recipe(Section):
    """One release: its text, its tasks and mixture, its model, its training and its evaluation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    """Name of the release, its directories and its repositories."""
    description: str = ""
    """One or two sentences for listings and cards."""
    seed: int = Field(default=42, ge=0, le=bounds.MAX_SEED)
    """Seed of all random choices."""
    seeds: Seeds = ()
    """Make each release once per seed, as NAME-seedSEED: mixture, initial weights and order of the data differ.
    Empty: once, with `seed`."""
    source: SourceSection
    blocks: BlocksSection = BlocksSection()
    mixture: MixtureSection = MixtureSection()
    tokenizer: TokenizerSection = TokenizerSection()
    packing: PackingSection = PackingSection()
    validation: ValidationSection = ValidationSection()
    build: BuildSection = BuildSection()
    cluster: ClusterSection = ClusterSection()
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()
    variants: dict[str, dict[str, Any]] = Field(default={})
    """Releases that change some keys of this recipe, by name. Each has its own dataset and model. In a recipe with
    `extends`, null removes an inherited variant, and a `name` in it renames it."""

    _locations: dict[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _stream_can_be_read(self) -> Self:
        if self.data.mode == "stream" and self.train.shuffle != "partitions":
            raise ValueError(
                "`data.mode` stream makes one partition after another, and requires `train.shuffle` to be partitions"
            )
        if self.data.mode == "stream" and not self.build.packed:
            raise ValueError("`data.mode` stream requires `build.packed` to be true")
        return self

    @model_validator(mode="after")
    def _baseline_is_a_variant(self) -> Self:
        baseline = self.evaluation.baseline
        if self.variants and baseline is not None and baseline not in self.variants:
            raise ValueError(
                f"`evaluation.baseline` must be one of the variants, not {baseline!r}. "
                f"{nearest(baseline, self.variants)}"
            )
        return self

    def where(self, key: str) -> str:
        """Return where a dotted key is set and the key, such as "recipes/nano.yaml:12: train.max_steps".

        A key with its default value is at "recipe NAME, default".
        """
        location = self._locations.get(key, f"recipe {self.name}, default")
        return location if location == f"--set {key}" else f"{location}: {key}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the layers of the recipe were combined, a sentence each."""
        return self._notes

    def resolved(self, scope: Scope = "model") -> dict[str, Any]:
        """Return every key that applies, with its value or default, as a tree that is a valid recipe.

        `cluster`, `data` and `seeds` are left out, because they do not change the release, and so is a later key that
        has its default. With scope "data", only the keys that decide the dataset, name and description remain.
        """
        tree: dict[str, Any] = self.model_dump(mode="json", exclude={"cluster", "data", "seeds"})
        if scope == "data":
            tree = {key: tree[key] for key in ("name", "description", "seed", *SCOPES["data"])}
        if self.mixture.scheme != "disjoint":
            del tree["mixture"]["raw_share"], tree["mixture"]["unit"]
        if self.mixture.scheme == "raw":
            del tree["tokenizer"]["eos"]
        if self.tokenizer.name is not None:
            del tree["tokenizer"]["vocab_size"]
        for section, key in LATER_KEYS:
            default = type(getattr(self, section)).model_fields[key].default
            if section in tree and tree[section][key] == default:
                del tree[section][key]
        if self.objective.kind == "next_token":
            tree.pop("objective", None)
        return tree

    def fingerprint(self, scope: Scope, **contents: str) -> str:
        """Hash everything that decides the bytes of the dataset ("data"), or of the model trained on it ("model").

        `contents` holds digests of what the recipe refers to (`source`, `tokenizer`, `modules`); a digest replaces
        the location. Names, descriptions, logging and checkpoint keys do not count, nor do keys that do not apply,
        such as the vocabulary size of a named tokenizer. Returns 64 hex digits (SHA-256).
        """
        return tree_fingerprint(self.resolved(), scope, **contents)


def tree_fingerprint(tree: Mapping[str, Any], scope: Scope, **contents: str) -> str:
    """Return the fingerprint of a resolved recipe, as `Recipe.fingerprint` does; `tree` may be one of a record."""
    sections = SCOPES["data"] if scope == "data" else SCOPES["data"] + SCOPES["model"]
    hashed: dict[str, Any] = {"seed": tree["seed"], **{name: tree.get(name) for name in sections}}
    if hashed.get("objective") is None:  # next-token training, as before there was such a section
        hashed.pop("objective", None)
    for section, keys in UNFINGERPRINTED_KEYS.items():
        hashed[section] = {k: v for k, v in (hashed.get(section) or {}).items() if k not in keys}
    if tree["source"]["path"] is not None:
        hashed["source"].pop("split", None)
    if (
        "language" in hashed["source"]
    ):  # where a user's folder lies does not matter; its digest is in `contents`
        names = hashed["source"]["language"]
        hashed["source"]["language"] = [
            PurePath(n).name for n in ([names] if isinstance(names, str) else names)
        ]
    if "source" in contents:
        hashed["source"] = {k: v for k, v in hashed["source"].items() if k not in LOCATION_KEYS}
    if "tokenizer" in contents:
        hashed["tokenizer"] = {key: tree["tokenizer"].get(key) for key in ("bos", "eos")}
    if "modules" in contents:
        hashed["mixture"] = {k: v for k, v in hashed["mixture"].items() if k != "modules"}
    canonical = json.dumps({**hashed, "contents": contents}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
