"""`l2t plan`: what a recipe would make, worked out beforehand. Nothing is written and nothing is fetched.

Documents are counted; examples and tokens are measured by building the first documents in memory and scaled up.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from l2t_hub.corpus.document import Document, Record
from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.listing import as_yaml
from l2t_hub.train.architecture import architecture

SAMPLE_DOCUMENTS = 200


@dataclass(frozen=True)
class DataPlan:
    """The dataset expected; counts are of training and validation together, None where only reading would tell.

    `sampled` documents were built in memory; `tokens` and what follows from them are scaled up from these.
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
    """One release: its dataset, its model and its training run; `writes` is what `l2t run` makes under its --out."""

    name: str
    scheme: str
    data: DataPlan
    size: str
    parameters: int
    max_steps: int
    batch: str
    training_tokens: int
    epochs: float | None
    writes: tuple[str, ...]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """All releases of a recipe."""

    releases: tuple[ReleasePlan, ...]
    yaml: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"releases": [asdict(release) for release in self.releases]}


def check_names(recipe: Recipe) -> None:
    """Check what the schema cannot know: task names and modules, heads that divide, a batch that comes out even.

    Raises UsageError.
    """
    from l2t_hub.tasks.registry import tasks_for
    from l2t_hub.train.batch_layout import divide_batch

    tasks = tasks_for(recipe.mixture.modules)
    for key, names in (("task", (recipe.mixture.task,)), ("tasks", recipe.mixture.tasks or ())):
        for name in names:
            if name is not None and name not in tasks:
                where = recipe.where(f"mixture.{key}")
                raise UsageError(
                    f"{where}: unknown task '{name}'. {nearest(name, tasks)}", "See `l2t tasks`."
                )
    architecture(recipe)
    divide_batch(recipe, devices=1)


def make_plan(recipes: Sequence[Recipe]) -> Plan:
    """Plan every release. Raises UsageError for what a recipe says wrongly, UserError for an unreadable source."""
    for recipe in recipes:
        check_names(recipe)
    return Plan(tuple(_release(recipe) for recipe in recipes), "---\n".join(as_yaml(r) for r in recipes))


def render_plan(plan: Plan) -> Group:
    """The plan for a terminal: the resolved recipes, then a table with a column per release."""
    table = Table("", *(release.name for release in plan.releases), header_style="bold")
    for label, cells in _rows(plan.releases):
        table.add_row(label, *cells)
    notes = {release.data.note for release in plan.releases}
    return Group(
        Text(plan.yaml.rstrip(), style="dim"), Padding(table, (1, 0)), *(Text(note) for note in notes)
    )


def _release(recipe: Recipe) -> ReleasePlan:
    from l2t_hub.train.batch_layout import divide_batch

    data, vocabulary = _data(recipe)
    batches = divide_batch(recipe, devices=1)
    sequences = data.training_sequences
    return ReleasePlan(
        name=recipe.name,
        scheme=_scheme(recipe),
        data=data,
        size=recipe.model.size,
        parameters=architecture(recipe).parameters(vocabulary),
        max_steps=batches.steps,
        batch=f"{batches.sequences} x {batches.sequence_length:,} = {batches.tokens_per_step:,} tokens",
        training_tokens=batches.rows * batches.sequence_length,
        epochs=round(batches.rows / sequences, 2) if sequences else None,
        writes=(f"datasets/{recipe.name}", f"models/{recipe.name}"),
        recipe=recipe.resolved(),
    )


def _data(recipe: Recipe) -> tuple[DataPlan, int]:
    """The dataset expected and the vocabulary's size."""
    if recipe.source.path is None:
        note = "The source is a Hub dataset, which a plan does not read: documents and tokens are not known."
        vocabulary = recipe.tokenizer.vocab_size
        return DataPlan(recipe.source.limit, 0, None, None, None, None, note), vocabulary
    from l2t_hub.corpus.sentences import splitter
    from l2t_hub.corpus.source import open_source
    from l2t_hub.dataset.ledger import RAW
    from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
    from l2t_hub.mixture import tasks_of
    from l2t_hub.tasks.registry import tasks_for
    from l2t_hub.tokens.load import encoder_of

    source = open_source(recipe)
    records = (record for n in range(recipe.build.partitions) for record in source.read(n))
    sample = list(islice(records, SAMPLE_DOCUMENTS))
    encoder = encoder_of(
        _tokenizer(recipe, sample), bos=recipe.tokenizer.bos, where=recipe.where("tokenizer.bos")
    )
    tasks = (
        {} if recipe.mixture.scheme == "raw" else tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    )
    setup = TransformSetup(recipe, tasks, splitter(recipe.blocks.sentences), encoder, encoder.pad_id or 0)
    setup, raw_documents = _in_documents(setup, sample)
    partition = PartitionTransform(setup)
    packed_rows = [rows for rows in partition.rows(sample) if rows.view == "packed"]
    ledger, documents = partition.ledger, source.records
    scale = (documents if documents is not None else len(sample)) / max(len(sample), 1)
    sequences = round(scale * sum(rows.table.num_rows for rows in packed_rows if rows.split == "train"))
    total = scale * sum(rows.table.num_rows for rows in packed_rows) * recipe.packing.sequence_length
    what = "all" if scale == 1 else f"the first {len(sample)} of {documents:,}"
    data = DataPlan(
        documents=documents,
        sampled=len(sample),
        raw_tokens=round(scale * sum(ledger.get("tokens", s, RAW).went_out for s in ledger.splits())),
        task_tokens=round(scale * ledger.total("tokens", tasks=True).went_out),
        training_sequences=sequences,
        packed_bytes=round(total * encoder.dtype.itemsize),
        note=f"Tokens are measured on {what} documents and scaled; packed bytes are before compression."
        + raw_documents,
    )
    return data, encoder.vocab_size


def _in_documents(setup: Any, sample: Sequence[Record]) -> tuple[Any, str]:
    """The setup with a raw share that counts tokens solved for on the sample, and a sentence that says so."""
    from l2t_hub.dataset.raw_share import expected_remainder, solve_threshold, with_threshold
    from l2t_hub.dataset.token_survey import survey_documents

    mixture = setup.recipe.mixture
    if mixture.scheme != "disjoint" or mixture.unit == "documents":
        return setup, ""
    survey, _ = survey_documents(setup, sample, len(sample), len(sample))
    threshold, _ = solve_threshold(survey, mixture.raw_share, expected_remainder(setup.recipe, [survey]))
    documents = float((survey["draw"] < threshold).mean()) if len(survey) else threshold
    said = f" For {mixture.raw_share:.0%} of the tokens, about {documents:.0%} of the documents are raw."
    return replace(setup, recipe=with_threshold(setup.recipe, threshold)), said


def _tokenizer(recipe: Recipe, sample: Sequence[Record]) -> Any:
    """The recipe's tokenizer, or one like the one it would train: trained on the sample."""
    from l2t_hub.tokens.load import load_tokenizer
    from l2t_hub.tokens.train_bpe import train_bpe

    if recipe.tokenizer.name is not None:
        return load_tokenizer(
            recipe.tokenizer.name, recipe.tokenizer.revision, where=recipe.where("tokenizer.name")
        )
    texts = (record.text for record in sample if isinstance(record, Document))
    return train_bpe(texts, recipe.tokenizer.vocab_size, where=recipe.where("tokenizer.vocab_size"))


def _scheme(recipe: Recipe) -> str:
    mixture = recipe.mixture
    if mixture.scheme == "disjoint":
        return f"disjoint, {mixture.raw_share:.0%} of {mixture.unit} raw"
    return f"single: {mixture.task}" if mixture.scheme == "single" else mixture.scheme


def _rows(releases: Sequence[ReleasePlan]) -> list[tuple[str, list[str]]]:
    """Label and a cell per release."""

    def number(value: float | None) -> str:
        return "not known" if value is None else f"{value:,}"

    def cells(of: Any) -> list[str]:
        return [of(release) for release in releases]

    return [
        ("mixture", cells(lambda r: r.scheme)),
        ("documents", cells(lambda r: number(r.data.documents))),
        ("raw tokens", cells(lambda r: number(r.data.raw_tokens))),
        ("task tokens", cells(lambda r: number(r.data.task_tokens))),
        ("training sequences", cells(lambda r: number(r.data.training_sequences))),
        ("packed bytes", cells(lambda r: number(r.data.packed_bytes))),
        ("model", cells(lambda r: f"{r.size}, {r.parameters:,} parameters")),
        ("batch", cells(lambda r: r.batch)),
        ("steps", cells(lambda r: f"{r.max_steps:,}")),
        ("training tokens", cells(lambda r: number(r.training_tokens))),
        ("epochs", cells(lambda r: number(r.epochs))),
        ("writes", cells(lambda r: "\n".join(r.writes))),
    ]
