"""What `l2t train` and `l2t run` measure on a model while it trains: its loss on held-out text, and minimal pairs.

Both go through the one scorer, and both are in the log, in the training record and in a run's report.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from l2t_hub.dataset.ledger import RAW
from l2t_hub.errors import UsageError
from l2t_hub.evaluate.held_out import HeldOut, make_held_out, read_held_out
from l2t_hub.evaluate.pair_files import BAD, GOOD
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import PairsAccuracy
from l2t_hub.text import counted
from l2t_hub.train.locate import DatasetLocation
from l2t_hub.train.measurement import Measurement

HELD_OUT, PAIRS = "held_out", "pairs"


def measurements(
    recipe: Recipe, dataset: DatasetLocation | None, held_out: Path | None, say: Callable[[str], None]
) -> tuple[Measurement, ...]:
    """Return what a recipe measures during training. `held_out` is the file of held-out text, None without one.

    `dataset` is None for training straight from text, for which there is no such file.
    If there is no such file, it is made from the recipe's source, and `say` is told so. Raises UsageError for a key
    or file that does not fit, UserError for one that cannot be read.
    """
    chosen = []
    if held_out is not None and dataset is None:
        raise UsageError(
            f"{held_out}: held-out text is measured in training on a dataset, and this run has none",
            "Build the dataset and name it with --data, or leave --held-out out.",
        )
    if held_out is not None and dataset is not None and recipe.evaluation.held_out_documents:
        if not held_out.exists() and is_main_process():
            make_held_out(recipe, held_out)
            found = read_held_out(held_out, dataset).texts.get(RAW)
            count = counted(len(found), "passage") if found else "no text, since no document is held out"
            say(f"held-out text: {count} in {held_out}")
        chosen.append(_held_out_loss(recipe, dataset, held_out))
    if recipe.evaluation.pairs_steps is not None:
        chosen.append(_pairs_accuracy(recipe, recipe.evaluation.pairs_steps))
    return tuple(chosen)


def _held_out_loss(recipe: Recipe, dataset: DatasetLocation, path: Path) -> Measurement:
    """Measure the raw text at every evaluation, and the examples of the tasks, which are most of it, at the end."""
    read: list[HeldOut] = []

    def measure(model: Any, tokenizer: Any, last: bool) -> dict[str, Any]:
        if not read:  # not before all processes wait for the first, which makes the file
            read.append(read_held_out(path, dataset))
        return {
            part: _loss(model, tokenizer, recipe, texts, read[0].sha256(part))
            for part, texts in read[0].texts.items()
            if last or part == RAW
        }

    if path.exists():
        read.append(read_held_out(path, dataset))
    return Measurement(HELD_OUT, recipe.train.eval_steps, measure)


def _loss(model: Any, tokenizer: Any, recipe: Recipe, texts: Sequence[str], sha256: str) -> dict[str, Any]:
    """Return a `HeldOutLoss` as JSON: the loss on some texts, each by itself.

    One longer than a training sequence is read in several, which overlap by one token: every token but the first of a
    text is predicted once. With a BOS, that is the first.
    """
    from l2t_hub.scoring.engine import score_sequences
    from l2t_hub.scoring.trie import TokenSequence
    from l2t_hub.tokens.load import encoder_of

    encoded = encoder_of(tokenizer, bos=recipe.tokenizer.bos).encode(texts, bos=recipe.tokenizer.bos)
    length = recipe.packing.sequence_length
    sequences = []
    for start, count in zip(encoded.starts.tolist(), encoded.lengths.tolist(), strict=True):
        ids = encoded.ids[start : start + count].tolist()
        windows = range(0, max(count - 1, 1), length - 1)
        sequences += [TokenSequence(tuple(ids[at : at + length])) for at in windows]
    scores = score_sequences(model, sequences)
    tokens = len(scores.values)
    return {
        "loss": -math.fsum(scores.values) / max(tokens, 1),
        "texts": len(texts),
        "tokens": tokens,
        "bytes": sum(len(text.encode()) for text in texts),
        "sha256": sha256,
    }


def _pairs_accuracy(recipe: Recipe, every: int) -> Measurement:
    name, where = recipe.evaluation.pairs, recipe.where("evaluation.pairs")
    pairs, space, tie, sha256 = _pairs(name, where)

    def measure(model: Any, tokenizer: Any, last: bool) -> dict[str, Any]:
        texts = [space + document[side] for document in pairs for side in (GOOD, BAD)]
        values = _log_likelihoods(model, tokenizer, texts)
        correct = sum(g > b or (tie and g == b) for g, b in zip(values[::2], values[1::2], strict=True))
        return PairsAccuracy(
            suite=Path(name).stem, accuracy=correct / len(pairs), pairs=len(pairs), sha256=sha256
        ).model_dump()

    return Measurement(PAIRS, every, measure)


def _pairs(name: str, where: str) -> tuple[Sequence[Mapping[str, str]], str, bool, str]:
    """Return pairs, what precedes a sentence, whether a tie is right, and the hash: as `l2t eval` reads the suite."""
    suite = get_suite(name)
    if suite.items is not None:
        return suite.items.documents, " ", True, suite.items.sha256
    digest = suite.digest()
    if suite.task_folder is None or digest is None:
        raise UsageError(
            f"{where}: '{name}' cannot be scored during training: its data come with the harness",
            "Use probes or a suite file (`l2t eval --pairs FILE --keep FILE.yaml` writes one).",
        )
    files = sorted((suite.task_folder / "data").glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return rows, "", False, digest


def _log_likelihoods(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[float]:
    """Return the log-likelihood of each text after the prefix token, as the harness computes it."""
    from l2t_hub.scoring.engine import score_sequences
    from l2t_hub.scoring.trie import TokenSequence

    prefix = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    sequences = []
    for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]:
        sequences.append(TokenSequence(tuple(ids if ids[:1] == [prefix] else [prefix, *ids])))
    return score_sequences(model, sequences).sums()
