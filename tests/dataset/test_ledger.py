"""The ledger: balances, ties between stages, and sums that do not depend on how work was divided."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.dataset.ledger import RAW, STAGES, FlowKey, Ledger, merged

SPLITS = ("train", "validation")


NAMES = ("typo", "last", RAW)


notes = st.lists(
    st.tuples(
        st.sampled_from(sorted(STAGES)),
        st.sampled_from(SPLITS),
        st.sampled_from(NAMES),
        st.integers(0, 1000),
        st.dictionaries(st.sampled_from(["short", "long", "null text"]), st.integers(0, 50)),
    )
)


def book(entries: Iterable[tuple[str, str, str, int, dict[str, int]]]) -> Ledger:
    ledger = Ledger()
    for stage, split, what, out, dropped in entries:
        ledger.add(FlowKey(stage, split, what), out + sum(dropped.values()), out, dropped)
    return ledger


@given(notes, st.integers(1, 5))
def test_partition_ledgers_add_up_to_the_ledger_of_the_whole(
    entries: list[tuple[str, str, str, int, dict[str, int]]], partitions: int
) -> None:
    whole = book(entries)
    divided = merged(book(entries[n::partitions]) for n in range(partitions))
    assert divided.to_json() == whole.to_json()
    assert all(flow.balanced() for flow in divided.flows.values())


@given(notes)
def test_json_brings_back_the_same_ledger(entries: list[tuple[str, str, str, int, dict[str, int]]]) -> None:
    ledger = book(entries)
    assert Ledger.from_json(ledger.to_json()).to_json() == ledger.to_json()


def whole_build() -> Ledger:
    """A small ledger that adds up."""
    ledger = Ledger()
    ledger.add(FlowKey("read"), 3, 2, {"null text": 1})
    for what in (RAW, "typo"):
        ledger.count(FlowKey("assign", "train", what))
        ledger.count(FlowKey("document", "train", what))
    ledger.add(FlowKey("block", "train", "typo"), 3, 2, {"under min_words": 1})
    ledger.add(FlowKey("make", "train", "typo"), 2, 2)
    ledger.add(FlowKey("fit", "train", "typo"), 2, 1, {"over 32 tokens": 1})
    ledger.add(FlowKey("tokens", "train", "typo"), 60, 20, {"over 32 tokens": 40})
    ledger.add(FlowKey("tokens", "train", RAW), 70, 64, {"remainder": 6})
    ledger.add(FlowKey("pack", "train", RAW), 64, 64)
    ledger.add(FlowKey("pack", "train", "task"), 32, 20, {"padding": 12})
    return ledger


def test_a_ledger_that_adds_up_has_no_problems() -> None:
    assert whole_build().check(packed=True) == []


def test_every_single_unit_that_vanishes_is_noticed() -> None:
    for key in whole_build().flows:
        for change in ("came_in", "went_out"):
            ledger = whole_build()
            setattr(ledger.flows[key], change, getattr(ledger.flows[key], change) - 1)
            assert ledger.check(packed=True), f"{key}: one less {change}"


def test_tokens_that_never_reach_a_sequence_are_noticed() -> None:
    ledger = whole_build()
    del ledger.flows[FlowKey("pack", "train", "task")]
    assert ledger.check(packed=True) == ["train, task: 20 tokens kept, 0 in sequences"]
    ledger = whole_build()
    ledger.add(FlowKey("make", "train", "typo"), 1, 1)
    assert "train: 2 went out of block and 3 came into make" in ledger.check(packed=True)
