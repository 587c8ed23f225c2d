"""What the manifest of a dataset says: the mixture, and the ledger of what came in, went out and was dropped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from l2t_hub.dataset.card import stages
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.demo.dataset_place import ShownDataset
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import AskedMixture, Manifest
from l2t_hub.records.public_recipe import public_recipe, source_title
from l2t_hub.text import counted

MAX_FLOWS, MAX_REASONS, MAX_SPLITS = 5000, 10_000, 8
MAX_PARTS = 100
_SHOWN_REASONS, _SHOWN_PROBLEMS = 8, 5


@dataclass(frozen=True)
class MixturePart:
    """What became raw text, or examples of a task. The shares are of all tokens and of all examples, from 0 to 1."""

    name: str
    level: str
    documents: int
    examples: int
    tokens: int
    token_share: float
    example_share: float


@dataclass(frozen=True)
class LedgerStage:
    """A stage of the build over all splits and tasks: `came_in` = `went_out` + what was dropped, by reason."""

    stage: str
    unit: str
    came_in: int
    came_in_what: str
    went_out: int
    went_out_what: str
    dropped: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class DatasetFacts:
    """The mixture and the ledger of a dataset. `problems` says what does not add up; it is empty if all does."""

    dataset: str
    repo: str
    revision: str
    fingerprint: str
    source: str
    tokenizer: str
    asked: str
    raw_share: Mapping[str, float | None]
    parts: tuple[MixturePart, ...]
    stages: tuple[LedgerStage, ...]
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def dataset_facts(dataset: ShownDataset) -> DatasetFacts:
    """Return the mixture and the ledger of a dataset. Raises UserError for a ledger that is too large to add up."""
    manifest, place = dataset.manifest, dataset.place
    reasons = sum(len(row["dropped"]) for row in manifest.ledger)
    splits = {row["split"] for row in manifest.ledger}
    if len(manifest.ledger) > MAX_FLOWS or reasons > MAX_REASONS or len(splits) > MAX_SPLITS:
        raise UserError(
            f"{place.name}: the ledger has {counted(len(manifest.ledger), 'flow')}, more than this page adds up",
            "`l2t verify` checks a dataset of any size.",
        )
    ledger = Ledger.from_json(manifest.ledger)
    shares = manifest.mixture["raw_share"]
    problems = ledger.check(bool(manifest.recipe["build"]["packed"]))
    return DatasetFacts(
        dataset=place.name,
        repo=place.repo,
        revision=place.commit,
        fingerprint=manifest.fingerprint,
        source=source_title(manifest.recipe),
        tokenizer=_tokenizer(manifest),
        asked=_asked(manifest.mixture["asked"]),
        raw_share={"documents": shares["documents"], "tokens": shares["tokens"]},
        parts=_parts(manifest),
        stages=tuple(_stage(row) for row in stages(ledger)),
        problems=tuple(problems[:_SHOWN_PROBLEMS]),
    )


def _tokenizer(manifest: Manifest) -> str:
    name = public_recipe(manifest.recipe)["tokenizer"]["name"]
    entries = f"{manifest.tokenizer.vocab_size:,} entries"
    return f"{name}, {entries}" if name else f"trained on this dataset, {entries}"


def _asked(asked: AskedMixture) -> str:
    """Return the mixture that the recipe asks for, in words."""
    said = [f"scheme {asked.get('scheme', 'unknown')}"]
    if (share := asked.get("raw_share")) is not None:
        said.append(f"{share:.0%} of the {asked.get('unit', 'documents')} raw")
    if task := asked.get("task"):
        said.append(f"only {task}")
    return ", ".join(said)


def _parts(manifest: Manifest) -> tuple[MixturePart, ...]:
    counts = manifest.mixture["parts"]
    tokens = sum(part["tokens"] for part in counts.values())
    examples = sum(part["examples"] for part in counts.values())
    parts = [
        MixturePart(
            name,
            "" if name == RAW or name not in manifest.tasks else manifest.tasks[name]["level"],
            part["documents"],
            part["examples"],
            part["tokens"],
            part["tokens"] / tokens if tokens else 0.0,
            part["examples"] / examples if examples else 0.0,
        )
        for name, part in counts.items()
    ]
    return tuple(parts[:MAX_PARTS])


def _stage(row: Mapping[str, Any]) -> LedgerStage:
    reasons = sorted(row["dropped"], key=lambda item: (-item[1], item[0]))
    shown, others = reasons[:_SHOWN_REASONS], reasons[_SHOWN_REASONS:]
    if others:
        shown.append((counted(len(others), "other reason"), sum(count for _, count in others)))
    (came_in, came_in_what), (went_out, went_out_what) = row["in"], row["out"]
    return LedgerStage(
        row["stage"], row["unit"], came_in, came_in_what, went_out, went_out_what, tuple(shown)
    )
