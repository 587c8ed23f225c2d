"""`l2t plan`: what a recipe would produce. Nothing is written, and nothing is fetched but a tokenizer on the Hub.

Documents are counted. Examples and tokens are measured by building the first documents in memory, then scaled up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.corpus.document import Document, Record
from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.listing import as_yaml, scheme_text
from l2t_hub.text import counted
from l2t_hub.train.architecture import architecture
from l2t_hub.train.cost import ASSUMPTION, hours_text, training_cost
from l2t_hub.train.curriculum import describe_objective

if TYPE_CHECKING:
    from l2t_hub.dataset.transform import TransformSetup
    from l2t_hub.tokens.encode import Encoder

SAMPLE_DOCUMENTS = 200
# Documents that are read only to count them, where the source does not say how many it has.
COUNTED_DOCUMENTS = 20_000
# Repeating text that often adds nothing any more (Muennighoff et al. 2023, arXiv 2305.16264).
MANY_EPOCHS = 40
LARGE_PARTITION = 2e9
RELEASES_PER_TABLE = 4


@dataclass(frozen=True)
class DataPlan:
    """The expected dataset. Counts cover both splits, and are None if only reading the source would tell.

    `sampled` is the number of documents built in memory; all counts of tokens are scaled up from these.
    """

    documents: int | None
    sampled: int
    raw_tokens: int | None
    task_tokens: int | None
    training_sequences: int | None
    packed_bytes: int | None
    note: str


@dataclass(frozen=True)
class ReleasePlan:
    """The expected dataset, model and training of one release. `writes` lists folders in the --out of `l2t run`.

    It is empty for training straight from text, which `l2t run` does not do.
    """

    name: str
    scheme: str
    data: DataPlan
    size: str
    parameters: int
    objective: str
    max_steps: int
    batch: str
    training_tokens: int
    gpu_hours: float
    epochs: float | None
    writes: tuple[str, ...]
    recipe: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The plans of all releases of a recipe, and the resolved recipes as YAML."""

    releases: tuple[ReleasePlan, ...]
    yaml: str

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON types."""
        return {"releases": [asdict(release) for release in self.releases], "gpu_hours_basis": ASSUMPTION}


def check_names(recipe: Recipe) -> None:
    """Check what the schema cannot: task names and modules, the sizes of the model, and how the batch divides.

    Raises UsageError.
    """
    from l2t_hub.corpus.source_languages import check_tasks
    from l2t_hub.mixture import tasks_of
    from l2t_hub.tasks.registry import tasks_for
    from l2t_hub.train.batch_layout import divide_batch

    tasks = tasks_for(recipe.mixture.modules)
    for key, names in (("task", (recipe.mixture.task,)), ("tasks", recipe.mixture.tasks or ())):
        for name in names:
            if name is not None and name not in tasks:
                where = recipe.where(f"mixture.{key}")
                raise UsageError(
                    f"{where}: unknown task '{name}'. {nearest(name, tasks)}", "`l2t tasks` lists the tasks."
                )
    check_tasks(recipe, tasks_of(recipe.mixture, tasks))
    architecture(recipe)
    divide_batch(recipe, devices=1)


def make_plan(recipes: Sequence[Recipe]) -> Plan:
    """Plan every release. Raises UsageError for an invalid recipe, UserError for a source that cannot be read."""
    for recipe in recipes:
        check_names(recipe)
    return Plan(tuple(_release(recipe) for recipe in recipes), "---\n".join(as_yaml(r) for r in recipes))


def render_plan(plan: Plan, *, verbose: bool = False) -> Group:
    """Return the plan for a terminal: a column per release, notes, warnings; `verbose` adds resolved recipes."""
    tables = []
    for first in range(0, len(plan.releases), RELEASES_PER_TABLE):
        releases = plan.releases[first : first + RELEASES_PER_TABLE]
        table = WholeTable("", *(release.name for release in releases), header_style="bold")
        for label, cells in _rows(releases):
            table.add_row(label, *cells)
        tables.append(table)
    notes = dict.fromkeys(release.data.note for release in plan.releases)
    warnings = dict.fromkeys(warning for release in plan.releases for warning in release.warnings)
    yaml = [Text(f"\n{plan.yaml.rstrip()}", style="dim")] if verbose else []
    return Group(
        *tables,
        *(Text(note) for note in (*notes, ASSUMPTION)),
        *(Text(warning, style="yellow") for warning in warnings),
        *yaml,
    )


def _release(recipe: Recipe) -> ReleasePlan:
    from l2t_hub.train.batch_layout import divide_batch

    data, vocabulary = _data(recipe)
    cost = training_cost(recipe, vocabulary)
    is_stream = recipe.data.mode == "stream"
    if is_stream:
        data = replace(data, note=f"{data.note} {_stream_note(recipe)}")
    batches = divide_batch(recipe, devices=1)
    sequences = data.training_sequences
    epochs = round(batches.rows / sequences, 2) if sequences else None
    return ReleasePlan(
        name=recipe.name,
        scheme=scheme_text(recipe.mixture),
        data=data,
        size=recipe.model.size,
        parameters=cost.parameters,
        objective=describe_objective(recipe),
        max_steps=batches.steps,
        batch=f"{batches.sequences} x {batches.sequence_length:,} = {batches.tokens_per_step:,} tokens",
        training_tokens=cost.tokens,
        gpu_hours=cost.gpu_hours,
        epochs=epochs,
        writes=() if is_stream else (f"datasets/{recipe.name}", f"models/{recipe.name}"),
        recipe=recipe.resolved(),
        warnings=(*_warnings(recipe, epochs), *_stream_warnings(recipe, data)),
    )


def _stream_note(recipe: Recipe) -> str:
    """Say for what the text is read before the first step of a training straight from text."""
    reasons = {
        "for the tokenizer": recipe.tokenizer.name is None,
        "for duplicates": recipe.source.duplicates != "keep"
        or (recipe.validation.near_duplicates == "drop" and recipe.validation.share > 0),
        "for the raw share in tokens (its first million documents)": recipe.mixture.scheme == "disjoint"
        and recipe.mixture.unit == "tokens",
        "for the held-out sequences": recipe.validation.share > 0,
    }
    passes = [reason for reason, applies in reasons.items() if applies]
    note = f"{recipe.name} is trained straight from text: no dataset is written."
    return f"{note} Before the first step, the text is read {', '.join(passes)}." if passes else note


def _stream_warnings(recipe: Recipe, data: DataPlan) -> Iterator[str]:
    """Yield a warning if the partitions of a stream are too large for memory."""
    size = (data.packed_bytes or 0) / recipe.build.partitions
    if recipe.data.mode == "stream" and size > LARGE_PARTITION:
        yield (
            f"warning: {recipe.name}: a partition has about {size / 1e9:,.1f} GB of sequences, and every "
            "process keeps one in memory. Raise build.partitions."
        )


def _warnings(recipe: Recipe, epochs: float | None) -> Iterator[str]:
    """Yield what of a valid recipe is probably not meant."""
    blocks, length = recipe.blocks.tokens_per_block, recipe.packing.sequence_length
    if recipe.mixture.scheme != "raw" and 2 * blocks > length:
        yield (
            f"warning: {recipe.name}: an example repeats its block, so blocks of {blocks:,} tokens give examples of "
            f"about {2 * blocks:,}, and a sequence has {length:,}: many will be dropped. Set blocks.tokens_per_block "
            f"to at most about {length // 3:,}, or a higher packing.sequence_length."
        )
    if epochs is not None and epochs >= MANY_EPOCHS:
        yield (
            f"warning: {recipe.name}: training reads every sequence {epochs:,.0f} times. Lower train.max_steps or "
            "train.batch_size, or use more text."
        )


def _data(recipe: Recipe) -> tuple[DataPlan, int]:
    """Return the expected dataset and the size of the vocabulary."""
    if recipe.source.path is None:
        note = "The source is a Hub dataset, which a plan does not read. Documents and tokens are unknown."
        unknown = DataPlan(recipe.source.limit, 0, None, None, None, None, note)
        return unknown, _vocabulary(recipe)
    from l2t_hub.corpus.source import open_source
    from l2t_hub.dataset.ledger import RAW
    from l2t_hub.dataset.partners import find_partners
    from l2t_hub.dataset.transform import PartitionTransform

    source = open_source(recipe)
    records = (record for n in range(recipe.build.partitions) for record in source.read(n))
    sample = list(islice(records, SAMPLE_DOCUMENTS))
    documents = source.records if source.records is not None else _count(len(sample), records)
    setup, share_note = _with_document_share(_setup(recipe, sample), sample)
    partners = find_partners(setup.recipe, setup.tasks, setup.languages, sample)
    partition = PartitionTransform(setup, partners)
    packed = [rows for rows in partition.rows(sample) if rows.view == "packed"]
    if documents is None:
        note = f"The source has more than {COUNTED_DOCUMENTS:,} documents: how many, and their tokens, is unknown."
        note += _left_out(setup)
        return DataPlan(None, len(sample), None, None, None, None, note), setup.encoder.vocab_size
    ledger, scale = partition.ledger, documents / max(len(sample), 1)
    sequences = scale * sum(rows.table.num_rows for rows in packed)
    measured = (
        "all documents"
        if scale == 1
        else f"the first {len(sample)} of {counted(documents, 'document')} and scaled up"
    )
    plan = DataPlan(
        documents=documents,
        sampled=len(sample),
        raw_tokens=round(scale * sum(ledger.get("tokens", s, RAW).went_out for s in ledger.splits())),
        task_tokens=round(scale * ledger.total("tokens", tasks=True).went_out),
        training_sequences=round(
            scale * sum(rows.table.num_rows for rows in packed if rows.split == "train")
        ),
        packed_bytes=round(sequences * recipe.packing.sequence_length * setup.encoder.dtype.itemsize),
        note=f"Tokens are measured on {measured}. Packed bytes are before compression."
        + share_note
        + _left_out(setup),
    )
    return plan, setup.encoder.vocab_size


def _count(known: int, records: Iterator[Record]) -> int | None:
    """Return `known` plus the number of records that follow, None if there are too many to count."""
    count = known + sum(1 for _ in islice(records, COUNTED_DOCUMENTS))
    return count if next(records, None) is None else None


def _vocabulary(recipe: Recipe) -> int:
    """Return the size of the vocabulary: of the named tokenizer, or of the one that will be trained."""
    return recipe.tokenizer.vocab_size if recipe.tokenizer.name is None else _encoder(recipe, ()).vocab_size


def _left_out(setup: "TransformSetup") -> str:
    """Return a sentence for each language that leaves out tasks."""
    from l2t_hub.corpus.source_languages import left_out_lines

    return "".join(f" {line[0].upper()}{line[1:]}." for line in left_out_lines(setup.recipe, setup.tasks))


def _setup(recipe: Recipe, sample: Sequence[Record]) -> "TransformSetup":
    """Return what a build of the recipe would be set up with."""
    from l2t_hub.corpus.source_languages import source_languages
    from l2t_hub.dataset.transform import TransformSetup
    from l2t_hub.mixture import tasks_of
    from l2t_hub.tasks.registry import tasks_for

    encoder = _encoder(recipe, sample)
    mixture = recipe.mixture
    tasks = {} if mixture.scheme == "raw" else tasks_of(mixture, tasks_for(mixture.modules))
    return TransformSetup(recipe, tasks, source_languages(recipe), encoder, encoder.pad_id or 0)


def _with_document_share(setup: "TransformSetup", sample: Sequence[Record]) -> "tuple[TransformSetup, str]":
    """Turn a raw share of tokens into one of documents, computed on the sample. Return a note on it as well."""
    from l2t_hub.dataset.raw_share import expected_remainder, solve_threshold, with_threshold
    from l2t_hub.dataset.token_survey import survey_documents

    mixture = setup.recipe.mixture
    if mixture.scheme != "disjoint" or mixture.unit == "documents":
        return setup, ""
    survey, _ = survey_documents(setup, sample, len(sample), len(sample))
    threshold, _ = solve_threshold(survey, mixture.raw_share, expected_remainder(setup.recipe, [survey]))
    documents = float((survey["draw"] < threshold).mean()) if len(survey) else threshold
    note = f" For {mixture.raw_share:.0%} raw tokens, about {documents:.0%} of the documents are raw text."
    return replace(setup, recipe=with_threshold(setup.recipe, threshold)), note


def _encoder(recipe: Recipe, sample: Sequence[Record]) -> "Encoder":
    """Return the encoder of the recipe's tokenizer, or of one trained on the sample instead of the training split."""
    from l2t_hub.tokens.load import encoder_of, load_tokenizer

    section = recipe.tokenizer
    if section.name is None:
        texts = tuple(record.text for record in sample if isinstance(record, Document))
        return _trained_encoder(texts, section.vocab_size, recipe.where("tokenizer.vocab_size"))
    tokenizer = load_tokenizer(section.name, section.revision, where=recipe.where("tokenizer.name"))
    where = recipe.where("tokenizer.name")
    return encoder_of(tokenizer, bos=section.bos, eos=section.eos, where=where)


@lru_cache(maxsize=1)  # the variants of a recipe share their text and tokenizer
def _trained_encoder(texts: tuple[str, ...], vocab_size: int, where: str) -> "Encoder":
    from l2t_hub.tokens.encode import Encoder
    from l2t_hub.tokens.train_bpe import BOS, EOS, train_definition

    definition = train_definition(texts, vocab_size, where=where)
    bos_id, eos_id = definition.token_to_id(BOS), definition.token_to_id(EOS)
    return Encoder(definition, bos_id=bos_id, eos_id=eos_id, pad_id=eos_id)


def _rows(releases: Sequence[ReleasePlan]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table: a label, and a cell per release."""

    def number(value: float | None) -> str:
        return "unknown" if value is None else f"{value:,}"

    def cells(cell: Callable[[ReleasePlan], str]) -> list[str]:
        return [cell(release) for release in releases]

    return [
        ("mixture", cells(lambda r: r.scheme)),
        ("documents", cells(lambda r: number(r.data.documents))),
        ("raw tokens", cells(lambda r: number(r.data.raw_tokens))),
        ("task tokens", cells(lambda r: number(r.data.task_tokens))),
        ("training sequences", cells(lambda r: number(r.data.training_sequences))),
        ("packed bytes", cells(lambda r: number(r.data.packed_bytes))),
        ("model", cells(lambda r: f"{r.size}, {r.parameters:,} parameters")),
        ("objective", cells(lambda r: r.objective)),
        ("batch", cells(lambda r: r.batch)),
        ("steps", cells(lambda r: f"{r.max_steps:,}")),
        ("training tokens", cells(lambda r: number(r.training_tokens))),
        ("GPU-hours", cells(lambda r: hours_text(r.gpu_hours))),
        ("epochs", cells(lambda r: number(r.epochs))),
        ("writes", cells(lambda r: "\n".join(r.writes) or "-")),
    ]
