"""Packing: every example once, no pack too long, nothing lost, packs well filled, schemes as documented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.tokens.pack import PAPER_BATCH, SCHEMES, Packing, cut_raw, lay_out, pack_examples

PAD = 7
CAPACITIES = st.integers(1, 40)
LENGTHS = st.lists(st.integers(0, 50), max_size=80).map(lambda lengths: np.array(lengths, np.int32))


def packs_of(packing: Packing) -> list[list[int]]:
    return (
        [part.tolist() for part in np.split(packing.order, np.cumsum(packing.counts)[:-1])]
        if len(packing.counts)
        else []
    )


def text_ids(lengths: np.ndarray) -> np.ndarray:
    """Flat ids: every token of text n is n + 100."""
    return np.repeat(np.arange(len(lengths)) + 100, lengths).astype(np.uint16)


# The 20-quantiles of the lengths of all 15,409 examples that the fourteen tasks make from the data folder's part-0.
QUANTILES = [
    51,
    229,
    285,
    334,
    373,
    407,
    435,
    465,
    498,
    539,
    590,
    664,
    739,
    810,
    869,
    930,
    997,
    1073,
    1185,
    1409,
    2048,
]


def realistic_lengths(count: int) -> np.ndarray:
    positions = np.random.default_rng(1).random(count)
    return np.interp(positions, np.linspace(0, 1, len(QUANTILES)), QUANTILES).astype(np.int32)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(lengths=LENGTHS, capacity=CAPACITIES)
def test_every_example_is_in_one_pack_or_dropped(scheme: str, lengths: np.ndarray, capacity: int) -> None:
    packing = pack_examples(lengths, capacity, scheme)
    assert sorted([*packing.order.tolist(), *packing.dropped.tolist()]) == list(range(len(lengths)))
    assert packing.dropped.tolist() == [n for n, length in enumerate(lengths) if length > capacity]
    packs = packs_of(packing)
    assert packing.tokens.tolist() == [int(lengths[pack].sum()) for pack in packs]
    assert all(tokens <= capacity for tokens in packing.tokens)
    assert all(count > 0 for count in packing.counts)
    assert packing.tokens.sum() + lengths[packing.dropped].sum() == lengths.sum()
    assert [pack[0] for pack in packs] == sorted(pack[0] for pack in packs), (
        "packs in the order of their first example"
    )
    assert all(pack == sorted(pack) for pack in packs), "source order within a pack"
    again = pack_examples(lengths.astype(np.int64), capacity, scheme)
    assert again.order.tolist() == packing.order.tolist()


@pytest.mark.parametrize("scheme", SCHEMES)
@given(lengths=LENGTHS, capacity=CAPACITIES)
def test_sequences_hold_their_examples_and_padding(scheme: str, lengths: np.ndarray, capacity: int) -> None:
    ids = text_ids(lengths)
    packing = pack_examples(lengths, capacity, scheme)
    sequences = lay_out(ids, lengths, packing, PAD)
    assert sequences.ids.shape == (len(packing.counts), capacity)
    assert (sequences.ids.dtype, sequences.lengths.dtype) == (ids.dtype, np.int32)
    assert sequences.lengths.tolist() == lengths[packing.order].tolist()
    assert sequences.tokens == packing.tokens.sum()
    for row, pack in zip(sequences.ids, packs_of(packing), strict=True):
        expected = [n + 100 for n in pack for _ in range(lengths[n])]
        assert row.tolist() == expected + [PAD] * (capacity - len(expected))


@given(lengths=LENGTHS, capacity=CAPACITIES, halves=st.integers(0, 80))
def test_raw_text_is_cut_without_loss_for_any_batches(
    lengths: np.ndarray, capacity: int, halves: int
) -> None:
    ids = text_ids(lengths)
    whole, rest, rest_lengths = cut_raw(ids, lengths, capacity)
    assert len(rest) == rest_lengths.sum() < capacity
    assert [*whole.ids.ravel().tolist(), *rest.tolist()] == ids.tolist()
    ends = np.cumsum(whole.counts)
    rows = np.split(whole.lengths, ends[:-1]) if len(ends) else []
    for row, pieces in zip(whole.ids, rows, strict=True):
        assert pieces.sum() == capacity
        for piece in np.split(row, np.cumsum(pieces)[:-1]):
            assert len(set(piece.tolist())) == 1, "a piece belongs to one text"
    middle = int(lengths[:halves].sum())
    first, carried, carried_lengths = cut_raw(ids[:middle], lengths[:halves], capacity)
    second, last, _ = cut_raw(
        np.concatenate([carried, ids[middle:]]), np.concatenate([carried_lengths, lengths[halves:]]), capacity
    )
    assert np.concatenate([first.ids, second.ids]).tolist() == whole.ids.tolist()
    assert np.concatenate([first.lengths, second.lengths]).tolist() == whole.lengths.tolist()
    assert last.tolist() == rest.tolist()


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), capacity=st.integers(30, 60))
def test_best_fit_chooses_the_tightest_room(lengths: list[int], capacity: int) -> None:
    """A plain search leaves the same rooms, whichever of equal packs it chooses."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        sufficient = [room for room in rooms if room >= length]
        if sufficient:
            rooms[rooms.index(min(sufficient))] -= length
        else:
            rooms.append(capacity - length)
    packing = pack_examples(np.array(lengths), capacity)
    assert sorted(capacity - packing.tokens) == sorted(rooms)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), capacity=st.integers(30, 60))
def test_the_papers_scheme_takes_the_shortest_pack(lengths: list[int], capacity: int) -> None:
    filled: list[int] = []
    for length in sorted(lengths, reverse=True):
        if filled and min(filled) + length <= capacity:
            filled[filled.index(min(filled))] += length
        else:
            filled.append(length)
    assert sorted(pack_examples(np.array(lengths), capacity, "paper").tokens) == sorted(filled)


def test_the_papers_scheme_packs_each_batch_by_itself() -> None:
    lengths = realistic_lengths(3 * PAPER_BATCH + 17)
    packing = pack_examples(lengths, 2_048, "paper")
    batches = [{n // PAPER_BATCH for n in pack} for pack in packs_of(packing)]
    assert all(len(batch) == 1 for batch in batches)
    assert set().union(*batches) == {0, 1, 2, 3}


def test_the_papers_batches_count_only_examples_that_fit() -> None:
    lengths = np.full(2 * PAPER_BATCH, 600, np.int32)
    lengths[:500] = 3_000
    packing = pack_examples(lengths, 2_048, "paper")
    first = {n for pack in packs_of(packing) for n in pack if n < 500 + PAPER_BATCH}
    assert min(first) == 500
    assert all(len({(n - 500) // PAPER_BATCH for n in pack}) == 1 for pack in packs_of(packing))


@pytest.mark.parametrize("count", [1_000, 15_000])
def test_best_fit_fills_at_least_99_per_cent_of_realistic_examples(count: int) -> None:
    lengths = realistic_lengths(count)
    best, paper = (pack_examples(lengths, 2_048, scheme) for scheme in ("best_fit", "paper"))
    assert best.fill >= 0.99
    assert best.fill >= paper.fill
    assert best.fill == pytest.approx(lengths.sum() / (len(best.counts) * 2_048))


def test_no_examples_no_packs() -> None:
    packing = pack_examples(np.empty(0, np.int32), 16)
    assert (len(packing.counts), packing.fill) == (0, 1.0)
    assert lay_out(np.empty(0, np.uint16), np.empty(0, np.int32), packing, PAD).ids.shape == (0, 16)


def test_an_unknown_scheme_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        pack_examples(np.array([1]), 4, "worst_fit")
