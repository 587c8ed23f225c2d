"""Counts agree with their nouns: "1 partition", never "1 partitions". `counted` writes them, also in templates."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from l2t_hub.resources import resource_folder
from l2t_hub.templates import render
from l2t_hub.text import counted, rounded

PACKAGE = Path(__file__).resolve().parents[1] / "l2t_hub"
NOUNS = (
    "checkpoint|comparison|commit|conflict|device|document|example|file|flow|node|partition|problem|processe|row|"
    "sequence|shard|step|worker"
)
TEMPLATES = (*sorted(resource_folder("model_cards").glob("*.j2")), *sorted(PACKAGE.rglob("*.j2")))
NAMES = ("view", "there")  # variables with the name of a view of a dataset
PLURAL = re.compile(rf"^ (?:more )?(?:{NOUNS})s\b")


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(0, "file", "0 files"), (1, "file", "1 file"), (2, "file", "2 files"), (1234567, "row", "1,234,567 rows"),
     (1, "query", "1 query"), (2, "query", "2 queries"), (2, "process", "2 processes"), (3, "day", "3 days")],
)  # fmt: skip
def test_a_count_and_its_noun(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


@pytest.mark.parametrize(
    ("count", "letters", "text"),
    [(0, "kMBT", "0"), (999, "kMBT", "999"), (999.6, "kMBT", "1k"), (614_400, "kMBT", "614k"),
     (999_900, "kMBT", "1M"), (1_500_000_000, "kMBT", "1.5B"), (3.66e9, "kMGT", "3.66G"), (9.999e14, "kMGT", "1e+15")],
)  # fmt: skip
def test_a_large_number_has_three_digits_and_never_a_thousand_of_a_unit(
    count: float, letters: str, text: str
) -> None:
    assert rounded(count, letters) == text


def test_an_irregular_plural_is_given() -> None:
    assert counted(2, "phenomenon", "phenomena") == "2 phenomena"


def number_before_plural(file: Path) -> Iterator[str]:
    """Every f-string of a file in which a value stands before a plural noun, and the value may be 1."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in pairwise(node.values):
            if not isinstance(value, ast.FormattedValue) or not isinstance(text, ast.Constant):
                continue
            if PLURAL.match(str(text.value)) and may_be_one(value):
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(value.value)}{text.value!r}"


def may_be_one(value: ast.FormattedValue) -> bool:
    """Whether a value can be the number 1: limits in capitals and names are not, nor is what has decimals."""
    if isinstance(value.value, ast.BoolOp) and isinstance(value.value.values[-1], ast.Constant):
        return not isinstance(value.value.values[-1].value, str)
    if isinstance(value.value, ast.Call) and getattr(value.value.func, "id", "") == "quoted":
        return False
    name = value.value.attr if isinstance(value.value, ast.Attribute) else getattr(value.value, "id", "")
    decimals = value.format_spec is not None and "." in ast.unparse(value.format_spec)
    return not name.isupper() and name not in NAMES and not decimals


def test_no_sentence_writes_a_plural_after_a_number() -> None:
    found = [line for file in sorted(PACKAGE.rglob("*.py")) for line in number_before_plural(file)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_writes_a_plural_after_a_number(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.findall(rf"\}}\}} (?!of |per )(?:[a-z]+ )?(?:(?:{NOUNS}|layer)s|phenomena)\b.*", text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 raw document and 1 task document, 2 tokens, 1 sequence."),
     (1500, "1,500 raw documents and 1,500 task documents, 3,000 tokens, 1,500 sequences.")],
)  # fmt: skip
def test_the_note_in_a_collection(count: int, text: str) -> None:
    names = ("raw_documents", "task_documents", "raw_tokens", "task_tokens", "sequences")
    values = {
        "kind": "dataset",
        "name": "nano",
        "mixture": {"asked": {"scheme": "disjoint"}},
        "totals": {"train": dict.fromkeys(names, count)},
    }
    assert render("collection.md.j2", values).strip().endswith(f"train: {text}")
