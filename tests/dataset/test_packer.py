"""The packer: every token once, in whole sequences, window by window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.dataset.packer import Packer, PackShape
from l2t_hub.dataset.views import RowBatch

texts = st.lists(st.integers(1, 70), min_size=1, max_size=40)


def run(raw: list[int], examples: list[int], windows: int, scheme: str) -> tuple[list[RowBatch], Ledger]:
    """Feed texts of these lengths (first id 1, then twos) to a sequencer, in some number of windows."""
    ledger = Ledger()
    sequencer = Packer("train", PackShape(64, scheme, np.dtype(np.uint16), 0), ledger)
    rows: list[RowBatch] = []
    for n in range(windows):
        for add, lengths in (
            (sequencer.add_raw, raw[n::windows]),
            (sequencer.add_examples, examples[n::windows]),
        ):
            ids = [t for length in lengths for t in [1] + [2] * (length - 1)]
            add(np.array(ids, np.uint16), np.array(lengths, np.int32))
        rows += sequencer.rows(last=n == windows - 1)
    return rows, ledger


@given(
    raw=texts,
    examples=st.lists(st.integers(1, 64), max_size=40),
    windows=st.integers(1, 4),
    scheme=st.sampled_from(["best_fit", "paper"]),
)
def test_sequences_hold_every_token_once(
    raw: list[int], examples: list[int], windows: int, scheme: str
) -> None:
    rows, ledger = run(raw, examples, windows, scheme)
    table = [row for r in rows for row in r.table.to_pylist()]
    task = [row for row in table if row["kind"] == "task"]
    assert sorted(n for row in task for n in row["lengths"]) == sorted(examples)
    assert sum(sum(row["lengths"]) for row in table if row["kind"] == "raw") == sum(raw) // 64 * 64
    for row in table:
        used = sum(row["lengths"])
        assert row["input_ids"][used:] == [0] * (64 - used)
        if row["kind"] == "task":
            starts = np.cumsum([0, *row["lengths"][:-1]])
            assert [n for n, t in enumerate(row["input_ids"][:used]) if t == 1] == starts.tolist()
    assert sum(r.tokens for r in rows) == ledger.total("pack").went_out
    assert ledger.get("tokens", "train", RAW).dropped.total() == sum(raw) % 64


def test_full_windows_are_packed_as_they_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2t_hub.dataset.packer.WINDOW_TOKENS", 1000)
    ledger = Ledger()
    sequencer = Packer("train", PackShape(64, "paper", np.dtype(np.uint16), 0), ledger)
    sequencer.add_examples(np.ones(1500 * 2, np.uint16), np.full(1500, 2, np.int32))
    first = list(sequencer.rows())
    assert sum(len(row["lengths"]) for row in first[0].table.to_pylist()) == 1000, (
        "whole batches of the paper's size"
    )
    rest = list(sequencer.rows(last=True))
    assert sum(len(row["lengths"]) for row in rest[0].table.to_pylist()) == 500
    assert list(sequencer.rows(last=True)) == []
