"""ReCoRD (Zhang et al., 2018), "which entity fills the gap?", as a task of lm-eval with a scorer of our own.

lm-eval 0.4.13 has the task, too, but its scorer imports a module that transformers 5 no longer has. Prompt, choices
and metrics are the same: the entity whose sentence is the most probable counts as the answer, and is compared with
every right one after SQuAD's normalisation.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

NAME = "record"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact(prediction: str, answers: Sequence[str]) -> float:
    """Return 1 if a prediction is one of the answers after normalisation, else 0."""
    return float(_normalised(prediction) in {_normalised(answer) for answer in answers})


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the best F1 score, in words, of a prediction and any of the answers."""
    return max(_f1(_normalised(prediction).split(), _normalised(answer).split()) for answer in answers)


def _f1(predicted: Sequence[str], right: Sequence[str]) -> float:
    if not predicted or not right:
        return float(predicted == right)
    same = sum((Counter(predicted) & Counter(right)).values())
    return 2 * same / (len(predicted) + len(right))


def _normalised(text: str) -> str:
    """Lower the case, and remove punctuation, English articles and superfluous spaces, as SQuAD's script does."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def prepared(dataset: Any) -> Any:
    """Return the documents with their different entities and answers in alphabetical order."""

    def prepare(document: Mapping[str, Any]) -> dict[str, Any]:
        return {name: sorted(set(document[name])) for name in ("entities", "answers")}

    return dataset.map(prepare)


def prompt(document: Mapping[str, Any]) -> str:
    """Return the passage, with its highlights as a list."""
    text: str = document["passage"]
    passage, *highlights = text.strip().split("\n@highlight\n")
    return passage + "\n\n" + "".join(f"  - {highlight}.\n" for highlight in highlights)


def choices(document: Mapping[str, Any]) -> list[str]:
    """Return the sentence with the gap filled by each entity."""
    return [f"  - {document['query']}".replace("@placeholder", entity) for entity in document["entities"]]


def gold(document: Mapping[str, Any]) -> int:
    """Return the place of the first right answer among the entities, or the first place if it is not there."""
    return next((i for i, entity in enumerate(document["entities"]) if entity in document["answers"]), 0)


def results(document: Mapping[str, Any], answers: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Return exact match, under the name of the other tasks' metric, and F1 of the most probable entity."""
    values = [value for value, _ in answers]
    prediction = document["entities"][values.index(max(values))]
    return {"acc": exact(prediction, document["answers"]), "f1": f1(prediction, document["answers"])}


def record_config() -> dict[str, Any]:
    """Return the task as lm-eval reads it. Its data are lm-eval's."""
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "f1")]
    return {
        "task": NAME,
        "dataset_path": "aps/super_glue",
        "dataset_name": "record",
        "training_split": "train",
        "validation_split": "validation",
        "output_type": "multiple_choice",
        "process_docs": prepared,
        "doc_to_text": prompt,
        "doc_to_choice": choices,
        "doc_to_target": gold,
        "process_results": results,
        "metric_list": metrics,
        "metadata": {"version": 2.0},
    }
