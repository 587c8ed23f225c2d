"""The tables of an evaluation: models, phenomena, seeds, readings, and how it was run."""

from collections.abc import Sequence
from dataclasses import replace

from l2t_hub.evaluate.inference import recipes_differ_by, spread_between
from l2t_hub.evaluate.replicates import lone_comparisons, recipe_comparisons, recipe_name, replicates
from l2t_hub.evaluate.results import Evaluation, ModelScores, RecipeComparison, RecipeRow
from l2t_hub.report.sheet import (
    Cell,
    Figure,
    Sheet,
    accuracy,
    difference,
    measure,
    measure_difference,
    sheet,
)
from l2t_hub.text import counted

PHENOMENA = "Accuracy in % by phenomenon, with 95% intervals for items of these paradigms."
DIFFERENCES = " Differences are in percentage points."
NARROW = 3
"""More models than this do not fit side by side on a terminal with their intervals and differences."""


def models_sheet(evaluation: Evaluation) -> Sheet:
    """Return a row for each model: its size and training, its scores, and its difference from the baseline."""
    compared = {c.model: c for c in evaluation.comparisons}
    header = ["model", "parameters", "tokens", "all items", "mean of phenomena"]
    if compared:
        header += [f"difference from {evaluation.models[0].label}", "for other paradigms"]
    rows: list[list[Cell]] = []
    for model in evaluation.models:
        row: list[Cell] = [model.label, model.parameters, model.tokens, *_overall(model)]
        if compared:
            own = compared.get(model.label)
            row.append(difference(own.micro.difference) if own else None)
            row.append(difference(own.clustered) if own and own.clustered else None)
        rows.append(row)
    caption = f"{evaluation.protocol.suite}: accuracy in % with 95% intervals."
    return sheet(caption, header, rows)


def _overall(model: ModelScores) -> list[Cell]:
    return [accuracy(model.micro.accuracy), accuracy(model.macro)]


def phenomena_sheet(evaluation: Evaluation, narrow: bool = False) -> Sheet:
    """Return a row for each phenomenon, a column for each model and each difference from the baseline.

    With `narrow`, many models have their accuracies only.
    """
    models, comparisons = evaluation.models, evaluation.comparisons
    bare = narrow and len(models) > NARROW
    if bare:
        comparisons = ()
    header = ["phenomenon", "n" if narrow else "items", *(m.label for m in models)]
    header += [f"{c.model} − {c.baseline}" for c in comparisons]
    rows: list[list[Cell]] = []
    for i, first in enumerate(models[0].phenomena):
        scores = [
            Figure(m.phenomena[i].accuracy.value) if bare else accuracy(m.phenomena[i].accuracy)
            for m in models
        ]
        differences = [difference(c.phenomena[i].difference) for c in comparisons]
        rows.append([first.phenomenon, first.total, *scores, *differences])
    overall = [_overall(m) for m in models]
    if bare:
        overall = [[Figure(m.micro.accuracy.value), Figure(m.macro.value)] for m in models]
    for i, (name, total) in enumerate((("all items", models[0].micro.total), ("mean of phenomena", None))):
        both = [difference(c.macro if i else c.micro.difference) for c in comparisons]
        rows.append([name, total, *(pair[i] for pair in overall), *both])
    caption = f"{evaluation.protocol.suite}. {PHENOMENA}{DIFFERENCES if comparisons else ''}"
    return sheet(caption, header, rows, overall=2)


def seeds_sheets(evaluation: Evaluation) -> list[Sheet]:
    """Return the tables of each recipe that is compared with the baseline's over several seeds of both."""
    tables: list[Sheet] = []
    for comparison in recipe_comparisons(evaluation):
        measures = _seeds_measures_sheet(evaluation, comparison)
        tables += [_seeds_sheet(evaluation, comparison), *([measures] if measures.rows else [])]
    return tables


def _seeds_sheet(evaluation: Evaluation, comparison: RecipeComparison) -> Sheet:
    models = {model.label: model for model in evaluation.models}
    model, baseline = recipe_name(models[comparison.model]), recipe_name(models[comparison.baseline])
    crossed = comparison.micro.crossed is not None
    header = [
        "phenomenon",
        model,
        "SD",
        baseline,
        "SD",
        "difference",
        "over seeds and items",
        "p",
        "seeds needed",
    ]

    def row(name: str, row: RecipeRow) -> list[Cell]:
        return [
            name,
            Figure(row.model),
            Figure(row.model_spread),
            Figure(row.baseline),
            Figure(row.baseline_spread),
            difference(row.difference),
            difference(row.crossed) if row.crossed else None,
            _p_value(row),
            row.seeds_needed,
        ]

    rows = [row(r.phenomenon, r) for r in comparison.phenomena]
    rows += [row(r.phenomenon, r) for r in comparison.readings[1:]]
    rows += [row("all items", comparison.micro), row("mean of phenomena", comparison.macro)]
    caption = (
        f"{evaluation.protocol.suite}, {model} against {baseline}: mean accuracy in % over {comparison.seeds} and "
        f"{comparison.baseline_seeds} seeds, with the standard deviation between seeds (SD). The difference "
        "has Welch's 95% interval over seeds, for these items, and none where no two seeds of a recipe differ. "
    )
    if crossed:
        units = f"{comparison.clusters} paradigms" if comparison.clusters else "single items"
        caption += (
            "The next column has its interval over seeds and items together, which allows for other items of the "
            f"kind (over all items, {units} are the units), and p is its p-value, of phenomena by Holm's method. "
        )
    caption += (
        "Where the interval over seeds includes 0, the last column is the number of seeds of each recipe that would "
        "show the difference."
    )
    return sheet(caption, header, rows, overall=2)


def _seeds_measures_sheet(evaluation: Evaluation, comparison: RecipeComparison) -> Sheet:
    """Return a row for each figure that is no accuracy and that all seeds of both recipes have."""
    groups = [replicates(evaluation, label) for label in (comparison.model, comparison.baseline)]
    model, baseline = (recipe_name(group[0]) for group in groups)
    by_seed = [[{(m.name, m.cell): m for m in seed.measures} for seed in group] for group in groups]
    rows: list[list[Cell]] = []
    for key, first in by_seed[0][0].items():
        if not all(key in measures for group in by_seed for measures in group):
            continue
        row: list[Cell] = [", ".join(key)]
        values = [[measures[key].value for measures in group] for group in by_seed]
        for scores in values:
            row += [Figure(sum(scores) / len(scores), plain=True), Figure(spread_between(scores), plain=True)]
        found = difference(recipes_differ_by(*values))
        rows.append([*row, replace(found, plain=True, lower_is_better=first.better == "lower")])
    caption = (
        f"{evaluation.protocol.suite}, {model} against {baseline}: other figures, as means over seeds with the "
        "standard deviation between seeds (SD). The difference has Welch's 95% interval over seeds, for these items."
    )
    return sheet(caption, ["measure", model, "SD", baseline, "SD", "difference"], rows)


def _p_value(row: RecipeRow) -> str | None:
    value = row.p_value if row.p_adjusted is None else row.p_adjusted
    return None if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def readings_sheet(evaluation: Evaluation, narrow: bool = False) -> Sheet | None:
    """Return a row for each way to read minimal pairs that all models were scored in; None if there is none.

    With `narrow`, it has no counts of changed decisions.
    """
    by_model = [{reading.name: reading for reading in model.readings} for model in evaluation.models]
    names = [name for name in by_model[0] if all(name in found for found in by_model)]
    if not names:
        return None
    header = ["reading"]
    for model in evaluation.models:
        header += [model.label, "changed"]
    compared = [c for c in evaluation.comparisons if c.readings]
    header += [f"{c.model} − {c.baseline}" for c in compared]
    rows: list[list[Cell]] = []
    for name in names:
        row: list[Cell] = [name]
        for found in by_model:
            row += [accuracy(found[name].micro.accuracy), None if narrow else found[name].changed]
        for c in compared:
            own = next((r for r in c.readings if r.name == name), None)
            row.append(difference(own.micro.difference) if own else None)
        rows.append(row)
    caption = (
        f"{evaluation.protocol.suite}: the same pairs read in other ways, the suite's own first. Accuracy in % over "
        "all items" + ("." if narrow else "; “changed” counts decisions that differ from the suite's own.")
    )
    return sheet(caption, header, rows)


def measures_sheet(evaluation: Evaluation) -> Sheet | None:
    """Return a row for each figure that is no accuracy, such as the loss of a task; None if there is none."""
    by_model = [{(m.name, m.cell): m for m in model.measures} for model in evaluation.models]
    compared = [c for c in evaluation.comparisons if c.measures]
    rows: list[list[Cell]] = []
    for key, first in by_model[0].items():
        own = [found.get(key) for found in by_model]
        differences = [next((d for d in c.measures if (d.name, d.cell) == key), None) for c in compared]
        rows.append(
            [
                f"{key[0]}, {key[1]}",
                first.examples,
                *(measure(m) if m else None for m in own),
                *(measure_difference(d) if d else None for d in differences),
            ]
        )
    if not rows:
        return None
    header = ["measure", "items", *(model.label for model in evaluation.models)]
    header += [f"{c.model} − {c.baseline}" for c in compared]
    caption = f"{evaluation.protocol.suite}: other figures, with 95% intervals where examples are averaged."
    return sheet(caption, header, rows)


def protocol_lines(evaluation: Evaluation) -> list[str]:
    """Return how the evaluation was run, in sentences."""
    protocol = evaluation.protocol
    tasks, first = protocol.tasks, protocol.tasks[0]
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    limit = (
        "all examples"
        if protocol.limit is None
        else f"the first {counted(protocol.limit, 'example')} of each task"
    )
    prefixes = list(dict.fromkeys(model.prefix_token for model in evaluation.models))
    task = f"task {first.task} (version {first.version}, {first.shots}-shot){more}"
    data = protocol.suite_sha256 or f"{first.examples_sha256} (first task)"
    prefix = f"Prefix token: {', '.join(prefixes)}; {protocol.context}."
    return [
        f"{protocol.harness} {protocol.harness_version}; {task}; {limit}.",
        f"Text before an answer: {first.target_delimiter!r}. {prefix}",
        f"SHA-256 of the data: {data}.",
        *(f"Intervals ({what}): {how}." for what, how in protocol.intervals.items()),
    ]


def sheets_of(evaluation: Evaluation, narrow: bool = False) -> list[Sheet]:
    """Return the tables of an evaluation; with `narrow`, so that they fit on a terminal."""
    seeds = seeds_sheets(evaluation)
    if seeds:  # a difference between single seeds says nothing of the recipes
        evaluation = replace(evaluation, comparisons=lone_comparisons(evaluation))
    found: Sequence[Sheet | None] = (
        *seeds,
        models_sheet(evaluation) if len(evaluation.models) > 1 else None,
        phenomena_sheet(evaluation, narrow),
        None if narrow and len(evaluation.models) > NARROW else measures_sheet(evaluation),
        None if narrow and len(evaluation.models) > NARROW else readings_sheet(evaluation, narrow),
    )
    return [table for table in found if table is not None]
