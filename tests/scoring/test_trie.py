"""Tries: every sequence is there once, with all its tokens, and shared beginnings are shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.scoring.trie import Pack, TokenSequence, batches, chains, tries

# Few different tokens, so that sequences share beginnings.
IDS = st.lists(st.integers(0, 3), min_size=1, max_size=9).map(tuple)
SEQUENCES = st.lists(st.builds(TokenSequence, IDS, st.integers(1, 4)), max_size=30, unique=True)


def path(pack: Pack, node: int) -> tuple[int, ...]:
    """The tokens from the root to a node, by the rule that the attention mask uses."""
    return tuple(pack.tokens[j] for j in range(len(pack)) if j <= node < pack.ends[j])


@given(SEQUENCES, st.integers(1, 40))
def test_each_edge_has_its_context_and_each_sequence_all_its_edges(
    sequences: list[TokenSequence], nodes: int
) -> None:
    packs = list(tries(sequences, nodes))
    assert sorted(i for pack in packs for i in pack.members) == [
        i for i, sequence in enumerate(sequences) if sequence.scored
    ]
    for pack in packs:
        for member, edges in zip(pack.members, pack.edges, strict=True):
            sequence = sequences[member]
            assert [(path(pack, pack.edge_nodes[edge]), pack.edge_targets[edge]) for edge in edges] == [
                (sequence.ids[:i], sequence.ids[i]) for i in range(sequence.start, len(sequence.ids))
            ]


@given(SEQUENCES, st.integers(1, 40))
def test_nodes_and_edges_are_different_and_bounded(sequences: list[TokenSequence], nodes: int) -> None:
    for pack in tries(sequences, nodes):
        paths = [path(pack, node) for node in range(len(pack))]
        assert len(set(paths)) == len(paths)
        assert pack.depths == [len(p) - 1 for p in paths]
        edges = list(zip(pack.edge_nodes, pack.edge_targets, strict=True))
        assert len(set(edges)) == len(edges)
        assert len(pack) <= nodes or len(pack.members) == 1
        needed = {sequences[m].ids[:i] for m in pack.members for i in range(1, len(sequences[m].ids))}
        assert set(paths) == needed, "no node without need"


@given(SEQUENCES)
def test_a_chain_is_one_sequence(sequences: list[TokenSequence]) -> None:
    for pack in chains(sequences):
        (member,) = pack.members
        assert tuple(pack.tokens) == sequences[member].ids[:-1]
        assert pack.ends == [len(pack)] * len(pack)


def test_a_beginning_that_one_sequence_does_not_score_is_scored_for_the_next() -> None:
    context, whole = TokenSequence((1, 2, 3, 4), 3), TokenSequence((1, 2, 3, 5), 1)
    (pack,) = tries([context, whole], 100)
    assert pack.tokens == [1, 2, 3]
    assert pack.edges == [[0], [1, 2, 3]]
    assert pack.edge_targets == [4, 2, 3, 5]


@pytest.mark.parametrize("start", [1, 2])
def test_a_sequence_without_scored_tokens_is_left_out(start: int) -> None:
    assert list(tries([TokenSequence((1,), start)], 10)) == []


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 200))
def test_batches_have_every_sentence_once_and_stay_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = list(batches(lengths, budget))
    assert sorted(i for batch in groups for i in batch) == [i for i, n in enumerate(lengths) if n]
    for batch in groups:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget
        assert lengths[batch[0]] == max(lengths[i] for i in batch)
