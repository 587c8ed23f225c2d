"""How typical models find the members of categories, compared with the ratings of people.

For each category, ratings are correlated (Spearman) with what a model says of the members, after Shah et al. (2024):
how similar the state of a member is to that of its category, and how probable the sentence is that says what it is.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.errors import UserError
from l2t_hub.evaluate.magnitude import correlation, cosines
from l2t_hub.evaluate.measures import mean_interval
from l2t_hub.evaluate.pair_files import PLACE, Row, column_of, read_rows
from l2t_hub.evaluate.results import Estimate, Measure, MeasureDifference
from l2t_hub.evaluate.states import check_length, states_of
from l2t_hub.evaluate.task_suite import completion_log_probabilities, parted
from l2t_hub.scoring import Scorer
from l2t_hub.text import counted

NAMES = {
    "category": ("category",),
    "member": ("member", "response"),
    "typicality": ("typicality", "typicality_scores"),
    "rank": ("rank",),
}
"""The columns, and the names in lower case that they may have: the second ones are those of the release."""
MIN_MEMBERS = 5
"""A correlation over fewer members says next to nothing."""
MAX_ROWS, MAX_TEXT = 20_000, 200
EXAMPLES = ("a cat is a mammal\n", "a square is a shape\n", "a tomato is a vegetable\n")
"""What precedes the sentence, none to all of them."""
NEAREST, LAST = "similarity of states, most similar layer", "similarity of states, last layer"
SENTENCES = tuple(
    f"probability of the sentence after {counted(count, 'example')}" for count in range(len(EXAMPLES) + 1)
)
FIGURES = (NEAREST, LAST, *SENTENCES)
NAME = "typicality, Spearman"


@dataclass(frozen=True)
class Category:
    """A category with its members, and how typical people find each: higher is more typical."""

    name: str
    members: tuple[str, ...]
    ratings: tuple[float, ...]


@dataclass(frozen=True)
class TypicalityData:
    """The categories of a file, and the number of rows that were left out, by reason."""

    categories: tuple[Category, ...]
    left_out: Mapping[str, int]
    sha256: str


def read_typicality(file: str) -> TypicalityData:
    """Read and check ratings. Rows without a rating, repeated members and small categories are left out and counted.

    Raises UsageError for a missing column or file, UserError for data that cannot be read or if no category is left.
    """
    found: dict[str, dict[str, float]] = {}
    left_out: Counter[str] = Counter()
    for number, row in enumerate(read_rows(file, Path(), None, "ratings"), start=1):
        if number > MAX_ROWS:
            raise UserError(f"{file}: more than {MAX_ROWS:,} ratings")
        category, member, rating = _rating(row)
        members = found.setdefault(category, {})
        if rating is None:
            left_out["no rating"] += 1
        elif member in members:
            left_out["the member is there already"] += 1
        else:
            members[member] = rating
    kept = {
        name: members
        for name, members in found.items()
        if len(members) >= MIN_MEMBERS and len(set(members.values())) > 1
    }
    few = sum(len(members) for name, members in found.items() if name not in kept)
    if few:
        left_out[f"its category has fewer than {MIN_MEMBERS} members or equal ratings only"] += few
    if not kept:
        reasons = "; ".join(f"{counted(count, 'row')}: {reason}" for reason, count in left_out.items())
        raise UserError(
            f"{file}: no category with {MIN_MEMBERS} members of different ratings",
            reasons or "It has no rows.",
        )
    categories = tuple(
        Category(name, tuple(members), tuple(members.values())) for name, members in kept.items()
    )
    content = json.dumps([[c.name, c.members, c.ratings] for c in categories])
    return TypicalityData(categories, dict(left_out), hashlib.sha256(content.encode()).hexdigest())


def _rating(row: Row) -> tuple[str, str, float | None]:
    place = row[PLACE]
    named = {str(key).strip().lower(): value for key, value in row.items() if key != PLACE}
    columns = {
        column: next((name for name in names if name in named), None) for column, names in NAMES.items()
    }
    by_rank = columns["typicality"] is None and columns["rank"] is not None
    values = [
        column_of({**named, PLACE: place}, columns[column] or column)
        for column in ("category", "member", "rank" if by_rank else "typicality")
    ]
    for text in values[:2]:
        if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_TEXT:
            raise UserError(f"{place}: category and member must be texts of 1 to {MAX_TEXT} characters")
    category, member = (text.strip() for text in values[:2])
    if values[2] is None or (isinstance(values[2], str) and not values[2].strip()):
        return category, member, None
    try:
        rating = float(values[2])
    except (TypeError, ValueError, OverflowError):
        rating = math.nan
    if isinstance(values[2], bool) or not math.isfinite(rating):
        raise UserError(f"{place}: {'rank' if by_rank else 'typicality'} must be a number")
    return category, member, -rating if by_rank else rating


def sentence(member: str, category: str) -> str:
    """Return the sentence that says what a member is, in lower case: 'an owl is a bird'."""
    return f"{_with_article(member)} is {_with_article(category)}".lower()


def _with_article(noun: str) -> str:
    if noun.lower().startswith(("a ", "an ", "the ")):
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def correlations(
    label: str, scorer: Scorer, data: TypicalityData, batch_tokens: int | None = None
) -> dict[str, tuple[float | None, ...]]:
    """Return each figure's correlation with the ratings in every category; None where all members are equal.

    Raises UserError for a text that is too long for the model, or if its states or probabilities are not finite.
    """
    by_category = [_similarities(label, scorer, category) for category in data.categories]
    said = _log_probabilities(label, scorer, data, batch_tokens)
    values: dict[str, list[Sequence[float]]] = {
        NEAREST: [similar[1:].max(axis=0).tolist() for similar in by_category],
        LAST: [similar[-1].tolist() for similar in by_category],
        **dict(zip(SENTENCES, said, strict=True)),
    }
    return {
        figure: tuple(
            spearman(category.ratings, found) for category, found in zip(data.categories, rows, strict=True)
        )
        for figure, rows in values.items()
    }


def spearman(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Return the correlation of ranks, ties with their mean rank; None for a constant."""
    from scipy.stats import rankdata

    return correlation(rankdata(values), rankdata(others))


def _similarities(label: str, scorer: Scorer, category: Category) -> Any:
    """Return the cosine of the states of each member and its category: a row for each layer, embeddings first."""
    states = np.stack([states_of(label, scorer, text)[0] for text in (category.name, *category.members)])
    return np.stack([cosines(states[:, layer])[0, 1:] for layer in range(states.shape[1])])


def _log_probabilities(
    label: str, scorer: Scorer, data: TypicalityData, batch_tokens: int | None
) -> Iterator[list[Sequence[float]]]:
    """Yield, for each number of examples, the mean log-probability of a token of every sentence, by category."""
    sentences = [
        sentence(member, category.name) for category in data.categories for member in category.members
    ]
    for count in range(len(EXAMPLES) + 1):
        context = "".join(EXAMPLES[:count])
        texts = [context, *(context + text for text in sentences)]
        alone, *whole = scorer.tokenizer(texts, add_special_tokens=False)["input_ids"]
        encoded = [parted(ids, alone) for ids in whole]
        for text, ids in zip(sentences, whole, strict=True):
            check_length(label, scorer, text, 1 + len(ids))
        sums = completion_log_probabilities(scorer, label, encoded, batch_tokens)
        rest = iter([value / len(scored) for value, (_, scored) in zip(sums, encoded, strict=True)])
        yield [[next(rest) for _ in category.members] for category in data.categories]


def typicality_measures(found: Mapping[str, Sequence[float | None]]) -> list[Measure]:
    """Return the mean of each figure over the categories, with Student's t interval over them."""
    made = []
    for figure, values in found.items():
        defined = [value for value in values if value is not None]
        if not defined:
            continue
        value, low, high = _bounded(defined, 1)
        made.append(Measure(NAME, figure, value, low, high, len(defined), "higher"))
    return made


def typicality_differences(
    found: Mapping[str, Sequence[float | None]], baseline: Mapping[str, Sequence[float | None]]
) -> list[MeasureDifference]:
    """Return the mean difference of each figure over the categories, where at least two have both."""
    made = []
    for figure, values in found.items():
        both = zip(values, baseline.get(figure, ()), strict=False)
        changes = [a - b for a, b in both if a is not None and b is not None]
        if not changes:
            continue
        value, low, high = _bounded(changes, 2)
        if low is not None and high is not None:
            difference = Estimate(value, low, high)
            made.append(MeasureDifference(NAME, figure, difference, len(changes), "higher"))
    return made


def _bounded(values: Sequence[float], most: float) -> tuple[float, float | None, float | None]:
    """Return a mean and its interval, which ends where correlations or their differences do."""
    value, half = mean_interval(values)
    if half is None:
        return value, None, None
    return value, max(-most, value - half), min(most, value + half)
