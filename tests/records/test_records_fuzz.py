"""Whatever a stranger writes into a record, reading it gives a record or one sentence, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_trees import as_bytes, release_tree, run_tree, toy_manifest, training_tree

from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.reading import FileRecord
from l2t_hub.records.release_record import ReleaseRecord
from l2t_hub.records.training_record import RunRecord, TrainingRecord

VALID: list[tuple[type[FileRecord], dict[str, Any]]] = [
    (Manifest, toy_manifest()),
    (ReleaseRecord, release_tree()),
    (TrainingRecord, training_tree()),
    (RunRecord, run_tree()),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 2**31, 2**63, 2**64, 10**12, 10**30, 1e308, 5e-324])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "../x", "/etc/passwd", "\x1b[2J", "\u202e", "\ud800", "0" * 64, "a" * 5000])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    found = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], dict | list):
            found += places(tree[key])
    return found


@st.composite
def mutated(draw: st.DrawFn) -> tuple[type[FileRecord], bytes]:
    """A record, and a valid tree of it (of any record, sometimes) with up to four changes, as bytes."""
    record, tree = draw(st.sampled_from(VALID))
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(0, 4))):
        container, key = draw(st.sampled_from(places(tree)))
        change = draw(st.sampled_from(["replace", "delete", "add", "repeat", "move"]))
        if change == "replace":
            container[key] = draw(TREES)
        elif change == "delete":
            del container[key]
        elif change == "add" and isinstance(container, dict):
            container[draw(st.text(max_size=9))] = draw(TREES)
        elif change == "repeat" and isinstance(container, list):
            container += container[:3]
        else:
            other, place = draw(st.sampled_from(places(tree)))
            container[key] = json.loads(json.dumps(other[place]))
        if not places(tree):
            break
    if draw(st.integers(0, 9)) == 0:
        record = draw(st.sampled_from([record for record, _ in VALID]))
    return record, as_bytes(tree)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[type[FileRecord], bytes]:
    """A record whose bytes were changed, cut off or replaced."""
    record, tree = draw(st.sampled_from(VALID))
    content = as_bytes(tree)
    start = draw(st.integers(0, len(content)))
    stop = draw(st.integers(start, min(len(content), start + draw(st.sampled_from([0, 1, 2, 50, 10**6])))))
    return record, content[:start] + draw(st.binary(max_size=8)) + content[stop:]


@st.composite
def anything(draw: st.DrawFn) -> tuple[type[FileRecord], bytes]:
    """JSON of any shape, for any record."""
    return draw(st.sampled_from(VALID))[0], as_bytes(draw(TREES))


def check(case: tuple[type[FileRecord], bytes]) -> None:
    """A record that is read writes itself the same; one that is not is refused in a printable sentence."""
    record, content = case
    problem, read = None, None
    try:
        read = record.parse(content, "x")
    except UserError as error:
        problem = error.message
    if read is None:
        assert problem
        assert problem.startswith("x: ")
        assert problem.isprintable()
        assert len(problem) < 700
        return
    again = record.parse(read.content(), "x")
    assert again == read
    assert again.content() == read.content()
    if isinstance(read, Manifest | ReleaseRecord):
        assert all(".." not in path.split("/") and path[0] != "/" for path in read.expected())
    if isinstance(read, Manifest):
        assert len(read.missing_shards()) <= 2 * len(read.shards)


CASES = mutated() | damaged() | anything()
QUIET = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]


@settings(max_examples=500, deadline=None, suppress_health_check=QUIET)
@given(CASES)
def test_no_record_causes_anything_but_a_sentence(case: tuple[type[FileRecord], bytes]) -> None:
    check(case)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=20_000, deadline=None, suppress_health_check=QUIET, database=None)
@given(CASES)
def test_no_record_of_twenty_thousand_causes_anything_but_a_sentence(
    case: tuple[type[FileRecord], bytes],
) -> None:
    check(case)
