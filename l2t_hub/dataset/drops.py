"""What a build dropped, in lines for the terminal: by reason and by file, with warnings that say what to change.

The ledger counts every drop by reason. `FileDrops` also counts documents by file, for the files that have most.
"""

from collections import Counter
from collections.abc import Mapping

from l2t_hub.corpus.blocks import SHORT
from l2t_hub.corpus.document import (
    DUPLICATE_ID,
    EMPTY_TEXT,
    NOT_DECODED,
    NOT_UTF8,
    NULL_ID,
    NULL_TEXT,
    UNREADABLE,
)
from l2t_hub.dataset.ledger import RAW, STAGES, Ledger
from l2t_hub.errors import UserError
from l2t_hub.mixture import NO_TASK
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import FileDrops, Manifest, MixtureFacts
from l2t_hub.text import counted

COUNTED_STAGES = ("read", "assign", "document", "block", "make", "fit")
FILES_KEPT, FILES_SHOWN = 50, 3
MANY = 0.1
FAR = 0.1
NO_EXAMPLE = "no block gave an example"
NO_OTHER = "no other document"


def file_drops(counts: Mapping[tuple[str, str], int]) -> list[FileDrops]:
    """Return documents dropped by file and reason as the manifest has them, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"file": file, "reason": reason, "count": count} for (file, reason), count in ranked[:FILES_KEPT]]


def drop_lines(manifest: Manifest) -> list[str]:
    """Return a summary of all drops but those of packing: a line for each stage, reason by reason, with the files."""
    ledger = Ledger.from_json(manifest.ledger)
    by_reason: dict[str, Counter[str]] = {}
    for partition in manifest.partitions:
        for entry in partition.drops:
            by_reason.setdefault(entry["reason"], Counter())[entry["file"]] += entry["count"]
    lines = []
    for stage in COUNTED_STAGES:
        flow = ledger.total(stage, tasks=True)
        if flow.dropped:
            reasons = sorted(flow.dropped.items(), key=lambda item: (-item[1], item[0]))
            listed = "; ".join(f"{n:,} {reason}{_files(by_reason.get(reason))}" for reason, n in reasons)
            lines.append(f"dropped {flow.dropped.total():,} of {flow.came_in:,} {_units(stage)}: {listed}")
    return lines


def drop_warnings(manifest: Manifest, recipe: Recipe) -> list[str]:
    """Return a warning for each thing that came out far from what the recipe asks for, and what to change."""
    ledger = Ledger.from_json(manifest.ledger)
    advice = _advice(recipe)
    lines = []
    for stage in COUNTED_STAGES:
        flow = ledger.total(stage, tasks=True)
        for reason, count in sorted(flow.dropped.items()):
            if count > MANY * flow.came_in and reason in advice:
                share = f"{count:,} of {flow.came_in:,} {_units(stage)}"
                lines.append(f"warning: {share} were dropped ({reason}). {advice[reason]}")
    return [
        *lines,
        *_split_warnings(ledger, recipe),
        *_share_warnings(manifest.mixture),
        *_task_warnings(ledger),
    ]


def check_examples(ledger: Ledger, recipe: Recipe) -> None:
    """Raise UserError if the mixture has tasks and no example came out."""
    mixture = recipe.mixture
    if mixture.scheme == "raw" or (mixture.scheme == "disjoint" and mixture.raw_share == 1):
        return
    if ledger.total("fit").went_out:
        return
    read, asked = ledger.get("read").went_out, ledger.total("assign", tasks=True).came_in
    reasons: Counter[str] = Counter()
    for stage in COUNTED_STAGES:
        reasons.update(ledger.total(stage, tasks=True).dropped)
    reasons.pop(NO_EXAMPLE, None)
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(3))
    problem = f"{counted(read, 'document')}, of which {asked:,} for tasks, gave no example"
    advice = next((_advice(recipe)[r] for r, _ in reasons.most_common() if r in _advice(recipe)), None)
    raise UserError(
        f"{recipe.where('mixture.scheme')}: {problem}{f' (dropped: {listed})' if listed else ''}",
        advice or "Give more text, lower mixture.raw_share, or set mixture.scheme: raw.",
    )


def _advice(recipe: Recipe) -> dict[str, str]:
    """Return what to change, by the reason of a drop."""
    blocks, length = recipe.blocks, recipe.packing.sequence_length
    column = f"Check that source.text_column ({recipe.source.text_column}) is the column with the text."
    encoding = "Set source.encoding to the encoding of the files."
    ids = "Name a column of unique IDs, or set source.id_column: null to number the documents."
    return {
        NULL_TEXT: column,
        EMPTY_TEXT: column,
        NOT_UTF8: encoding,
        NOT_DECODED: encoding,
        UNREADABLE: "Set build.on_error: stop to see the first of them.",
        NULL_ID: ids,
        DUPLICATE_ID: ids,
        NO_TASK: "Their sentences are too few for the tasks of the mixture. If text files are split into lines, set "
        "source.split_on to blank_lines or a number of words; else add tasks to mixture.tasks.",
        NO_OTHER: "A document that is alone in its partition and split has no other one. Lower build.partitions.",
        SHORT: f"A block needs blocks.min_words ({blocks.min_words}) words. Short documents "
        f"have one short block: join them (source.split_on: 500 for text files) or lower blocks.min_words. Blocks of "
        f"longer ones grow with blocks.tokens_per_block ({blocks.tokens_per_block}). source.language must be that of "
        f"the text (now {', '.join(recipe.source.languages)}).",
        f"over {length} tokens": f"They do not fit a sequence of {length:,} tokens. {_smaller_blocks(recipe)}",
    }


def _smaller_blocks(recipe: Recipe) -> str:
    """Say how more examples would fit a sequence. An example repeats its block, and blocks are whole sentences."""
    now, fits = recipe.blocks.tokens_per_block, recipe.packing.sequence_length // 3
    lower = (
        f"to at most about {fits}" if now > fits else "lower still: long sentences make some blocks longer"
    )
    return (
        f"An example repeats its block: set blocks.tokens_per_block (now {now}) {lower}, or a higher "
        "packing.sequence_length."
    )


def _split_warnings(ledger: Ledger, recipe: Recipe) -> list[str]:
    """Return a warning if documents should be held out and none was, or none is left to train on."""
    documents = {split: ledger.total("document", split).came_in for split in ("train", "validation")}
    lines = []
    if recipe.validation.share and not documents["validation"]:
        lines.append(
            f"warning: no document is held out: validation.share is {recipe.validation.share:g}, of "
            f"{counted(documents['train'], 'document')}. There will be no validation loss. Give more documents (for "
            "one long text, source.split_on), or a higher validation.share."
        )
    if not documents["train"]:
        lines.append(
            "warning: every document is held out; there is nothing to train on. Lower validation.share."
        )
    return lines


def _share_warnings(mixture: MixtureFacts) -> list[str]:
    """Return a warning if the share of raw text is far from the recipe's."""
    asked, unit = mixture["asked"].get("raw_share"), mixture["asked"].get("unit")
    if asked is None or unit is None:
        return []
    realised = mixture["raw_share"]["tokens" if unit == "tokens" else "documents"]
    if realised is None or abs(realised - asked) <= FAR:
        return []
    return [
        f"warning: {realised:.0%} of the {unit} are raw text, and mixture.raw_share asks for {asked:.0%}. With few "
        "documents that is chance: more, shorter documents come closer (for text files, source.split_on)."
    ]


def _task_warnings(ledger: Ledger) -> list[str]:
    """Return a warning for tasks that got documents for training and gave no example."""
    tasks = {key.what for key in ledger.flows if (key.stage, key.split) == ("document", "train")} - {RAW}
    without = [task for task in sorted(tasks) if not ledger.get("fit", "train", task).went_out]
    if not without:
        return []
    return [f"warning: no training example of {', '.join(without)}, though documents were assigned to it."]


def _files(counts: Counter[str] | None) -> str:
    if not counts or set(counts) == {""}:
        return ""
    shown = [f"{name} {count:,}" for name, count in counts.most_common(FILES_SHOWN)]
    rest = len(counts) - FILES_SHOWN
    more = f", {counted(rest, 'more file')}" if rest > 0 else ""
    return f" ({', '.join(shown)}{more})"


def _units(stage: str) -> str:
    return "documents for tasks" if stage in ("assign", "document") else STAGES[stage][0]
