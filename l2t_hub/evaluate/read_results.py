"""Reads results and samples, which a stranger may have written: bounded, and checked against schema and itself."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UserError
from l2t_hub.evaluate.consistency import contradiction, is_sound
from l2t_hub.evaluate.results import SCHEMA, Evaluation, Sample
from l2t_hub.evaluate.suites import PSYCHOMETRIC
from l2t_hub.records.reading import parse_json, quoted, read_bounded

# BLiMP with 100 models takes 2 MB and 30,000 values.
MAX_BYTES = 16_000_000
MAX_VALUES = 200_000
MAX_LINE = 1 << 20
_EVALUATION = TypeAdapter(Evaluation)
_SAMPLE = TypeAdapter(Sample)


def read_evaluation(path: Path) -> Evaluation:
    """Read the results that `write_evaluation` wrote. Raises UserError if the file is missing, invalid or too new."""
    content = read_bounded(path, MAX_BYTES)
    # A wrong value costs hundreds of bytes, and a file of wrong values has millions.
    if content.count(b",") > MAX_VALUES:
        raise UserError(f"{path}: more values than the scores of an evaluation have")
    tree = parse_json(content, str(path), "the scores of an evaluation")
    written = tree.get("schema", SCHEMA) if isinstance(tree, dict) else SCHEMA
    hint = "Create them with `l2t eval MODEL... --out FILE`."
    if isinstance(tree, dict) and tree.get("suite") == PSYCHOMETRIC:
        raise UserError(
            f"{path}: these are figures of the suite {PSYCHOMETRIC}, no scores",
            "`l2t report` shows them.",
        )
    try:
        if written != SCHEMA and isinstance(tree.get("protocol"), dict):
            raise UserError(
                f"{path}: the scores have schema {quoted(written)}, but this version reads schema {SCHEMA}",
                "Evaluate the models again.",
            )
        evaluation = _EVALUATION.validate_json(content, strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: these are not the scores of an evaluation", hint) from error
    if problem := contradiction(evaluation):
        raise UserError(f"{path}: these scores contradict themselves: {problem}", hint)
    return evaluation


def read_samples(path: Path, evaluation: Evaluation) -> Iterator[tuple[str, list[Sample]]]:
    """Return the samples of the results in the file `path`, one model after the other with its label.

    Raises UserError if the file of samples is missing, has changed since, or is invalid.
    """
    file = path.parent / Path(evaluation.samples_file or "").name
    hint = "Evaluate the models again."
    if evaluation.samples_file is None or not file.is_file():
        raise UserError(f"{path}: its file of scored examples is missing", hint)
    if sha256_of(file) != evaluation.samples_sha256:
        raise UserError(f"{file}: these are not the scored examples of {path}: the SHA-256 differs", hint)
    with file.open("rb") as lines:
        try:
            samples = (_SAMPLE.validate_json(line) for line in iter(lambda: lines.readline(MAX_LINE), b""))
            for label, group in groupby(samples, key=lambda sample: sample.model):
                found = list(group)
                if not all(map(is_sound, found)):
                    raise UserError(f"{file}: a scored example of {label[:60]} contradicts itself", hint)
                yield label, found
        except ValidationError as error:
            raise UserError(f"{file}: these are not scored examples", hint) from error
