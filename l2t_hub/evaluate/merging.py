"""Results of several evaluations as one: models of the same protocol side by side, compared with one baseline.

Where the single decisions of two models are at hand, they are compared pair by pair, as `l2t eval` does. Otherwise
their two scores are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.evaluate.comparability import protocol_difference
from l2t_hub.evaluate.comparing import compare_decisions, compare_scores
from l2t_hub.evaluate.consistency import fits, items
from l2t_hub.evaluate.read_results import read_samples
from l2t_hub.evaluate.results import SCHEMA, Evaluation, ModelComparison, ModelScores, Sample
from l2t_hub.evaluate.training_runs import latest


@dataclass(frozen=True)
class Result:
    """Results and where they came from: `name` for messages, `path` of their file."""

    name: str
    path: Path
    evaluation: Evaluation


@dataclass(frozen=True)
class Entry:
    """A model of a merged evaluation: its own label in the result that it came from, and its new scores."""

    result: Result
    label: str
    scores: ModelScores

    def has_samples(self) -> bool:
        """Whether the model's single decisions are at hand."""
        return self.result.evaluation.has_samples(self.label)


def merge(results: Sequence[Result], baseline: str | None = None) -> tuple[list[Evaluation], list[str]]:
    """Return one evaluation for each protocol, suites in the order of the results, and notes for the reader.

    The baseline, a label or name of a model, comes first and all others are compared with it; the default is the
    first model, or the last checkpoint of its run. Notes name results that are not compared, and why. Raises
    UsageError if no result has the baseline.
    """
    entries, notes = grouped(results)
    if baseline is not None:
        known = [name for group in entries for entry in group for name in _names(entry)]
        if baseline not in known:
            raise UsageError(
                f"--baseline {baseline}: no such model. {nearest(baseline, dict.fromkeys(known))}"
            )
    merged = []
    for group in entries:
        wanted = latest([entry.scores for entry in group]).label if baseline is None else baseline
        first = next((entry for entry in group if wanted in _names(entry)), None)
        suite = group[0].result.evaluation.protocol.suite
        if first is None:
            notes.append(
                f"{suite}: {', '.join(e.scores.label for e in group)}: not compared with {baseline}."
            )
        merged.append(as_evaluation(group, first, notes))
    return merged, list(dict.fromkeys(notes))


def grouped(results: Sequence[Result]) -> tuple[list[list[Entry]], list[str]]:
    """Return the models of each protocol, each once and under its own label, and notes on what is not compared."""
    groups, notes = _by_protocol(results)
    return [_entries(group) for group in groups], notes


def _by_protocol(results: Sequence[Result]) -> tuple[list[list[Result]], list[str]]:
    groups: list[list[Result]] = []
    notes = []
    for result in results:
        mine = result.evaluation.protocol
        same_suite = [g for g in groups if g[0].evaluation.protocol.suite == mine.suite]
        differences = [protocol_difference(g[0].evaluation.protocol, mine) for g in same_suite]
        if None in differences:
            same_suite[differences.index(None)].append(result)
            continue
        notes += [
            f"{mine.suite}: {group[0].name} and {result.name} are not compared: they differ in {difference}."
            for group, difference in zip(same_suite, differences, strict=True)
        ]
        groups.append([result])
    order = list(dict.fromkeys(result.evaluation.protocol.suite for result in results))
    return sorted(groups, key=lambda g: order.index(g[0].evaluation.protocol.suite)), notes


def _entries(group: Sequence[Result]) -> list[Entry]:
    """Return the models of some results, each once, from a result with its samples if any, under different labels."""
    found: dict[object, Entry] = {}
    for result in group:
        for model in result.evaluation.models:
            entry = Entry(result, model.label, model)
            known = found.setdefault(_identity(model), entry)
            if entry.has_samples() and not known.has_samples():
                found[_identity(model)] = entry
    entries = list(found.values())
    for label in (
        lambda m: m.label,
        lambda m: m.model,
        lambda m: f"{m.model.partition('@')[0]}@{(m.revision or 'unknown')[:8]}",
        lambda m: f"{m.label} ({m.dtype}, {(m.weights_sha256 or 'unknown')[:8]})",
    ):
        labels = [label(entry.scores) for entry in entries]
        if len(set(labels)) == len(labels):
            break
    else:
        labels = [f"{entry.scores.label} ({number})" for number, entry in enumerate(entries, 1)]
    return [
        Entry(entry.result, entry.label, replace(entry.scores, label=label))
        for entry, label in zip(entries, labels, strict=True)
    ]


def _identity(model: ModelScores) -> object:
    """Return what two entries share that are the same scores of the same weights."""
    counts = tuple((row.phenomenon, row.correct) for row in model.phenomena)
    name = (model.model, model.revision) if model.weights_sha256 is None else model.weights_sha256
    return name, model.dtype, counts


def _names(entry: Entry) -> set[str]:
    model = entry.scores
    return {entry.label, model.label, model.model, model.model.partition("@")[0]}


def as_evaluation(group: Sequence[Entry], first: Entry | None, notes: list[str]) -> Evaluation:
    """Return models of one protocol as one evaluation, compared with `first`; what hinders it is added to `notes`."""
    protocol = (first or group[0]).result.evaluation.protocol
    ordered = list(group) if first is None else [first, *(entry for entry in group if entry is not first)]
    if len({entry.scores.dtype for entry in ordered}) > 1:
        precisions = ", ".join(f"{entry.scores.label} {entry.scores.dtype}" for entry in ordered)
        notes.append(
            f"{protocol.suite}: the precisions differ, which changes single decisions: {precisions}."
        )
    comparisons = () if first is None else tuple(_comparisons(first, ordered[1:], notes))
    models = tuple(e.scores for e in ordered)
    own = group[0].result.evaluation
    # What was compared over the seeds in one result holds as long as nothing else is beside it.
    recipes = own.recipes if models == own.models else ()
    return Evaluation(SCHEMA, protocol, models, comparisons, None, None, recipes=recipes)


def _comparisons(first: Entry, others: Sequence[Entry], notes: list[str]) -> Iterator[ModelComparison]:
    known = _made_comparisons([first, *others])
    pairs = {entry.scores.label: (_identity(entry.scores), _identity(first.scores)) for entry in others}
    made = {label: known[pair] for label, pair in pairs.items() if pair in known}
    missing = [entry for entry in others if entry.scores.label not in made]
    baseline = dict(_decisions(first.result, [first], notes)).get(first.scores.label) if missing else None
    for result in {id(entry.result): entry.result for entry in missing if baseline}.values():
        wanted = [entry for entry in missing if entry.result is result]
        for label, samples in _decisions(result, wanted, notes):
            if items(samples) != items(baseline or ()):
                notes.append(
                    f"{result.name}: {label} and {first.scores.label} were scored on different items."
                )
                continue
            tasks = result.evaluation.protocol.tasks
            made[label] = compare_decisions(label, samples, first.scores.label, baseline or (), tasks)
    for entry in others:
        comparison = made.get(entry.scores.label) or compare_scores(entry.scores, first.scores)
        yield replace(comparison, model=entry.scores.label, baseline=first.scores.label)


def _made_comparisons(entries: Sequence[Entry]) -> dict[tuple[object, object], ModelComparison]:
    """Return the comparisons that the results of some models have already, by model and baseline."""
    found: dict[tuple[object, object], ModelComparison] = {}
    for result in {id(entry.result): entry.result for entry in entries}.values():
        models = {model.label: _identity(model) for model in result.evaluation.models}
        for comparison in result.evaluation.comparisons:
            found.setdefault((models[comparison.model], models[comparison.baseline]), comparison)
    return found


def _decisions(
    result: Result, wanted: Sequence[Entry], notes: list[str]
) -> Iterator[tuple[str, list[Sample]]]:
    """Return the samples of some models of a result, one model at a time with its new label; none without a file."""
    if result.evaluation.samples_file is None:
        return
    try:
        yield from decisions_of(result, wanted)
    except UserError as error:
        notes.append(f"{error.message}. Its models are compared by their scores only.")


def decisions_of(result: Result, wanted: Sequence[Entry]) -> Iterator[tuple[str, list[Sample]]]:
    """Return the samples of some models of a result, one model at a time with its new label.

    Raises UserError if the file of samples is missing, invalid, or not that of these scores.
    """
    labels = {entry.label: entry.scores for entry in wanted}
    for label, samples in read_samples(result.path, result.evaluation):
        scores = labels.pop(label, None)
        if scores is not None:
            if not fits(scores, samples):
                raise UserError(f"{result.name}: the scored examples of {label} do not add up to its scores")
            yield scores.label, samples
        if not labels:
            return
