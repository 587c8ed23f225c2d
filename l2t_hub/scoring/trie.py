"""Token sequences as tries, so that a beginning that several sequences share is computed once.

A sequence is a prefix token, any context and the scored tokens. A node of the trie is an input position: the last
token of one beginning. An edge is a scored token after a node. Packs are cut from the sorted sequences, have a
bounded number of nodes, and number them in preorder: node j is on the path to node i if and only if j <= i < ends[j].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TokenSequence:
    """Token ids of which those from index `start` on are scored, each given all tokens before it.

    `start` is at least 1: the first token has no context. A sequence may have no scored token.
    """

    ids: tuple[int, ...]
    start: int = 1

    @property
    def scored(self) -> int:
        """Number of scored tokens."""
        return max(0, len(self.ids) - self.start)


@dataclass
class Pack:
    """A trie of some sequences, as parallel lists: token, depth and end of nodes, node and target of edges."""

    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    """Number of tokens before the node's token: its position."""
    ends: list[int] = field(default_factory=list)
    """One past the last node of the node's subtree."""
    edge_nodes: list[int] = field(default_factory=list)
    edge_targets: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    """Index of each sequence of the pack."""
    edges: list[list[int]] = field(default_factory=list)
    """For each member, the edges of its scored tokens in order."""

    def __len__(self) -> int:
        return len(self.tokens)


def tries(sequences: Sequence[TokenSequence], nodes: int) -> Iterator[Pack]:
    """Cut the trie of different sequences into packs of at most `nodes` nodes, or of one longer sequence.

    Sequences without a scored token are left out. Every pack repeats the beginnings that it needs.
    """
    order = sorted(
        (i for i, s in enumerate(sequences) if s.scored), key=lambda i: (sequences[i].ids, sequences[i].start)
    )
    builder = _Builder()
    for i in order:
        if builder.pack.members and len(builder.pack) + builder.new_nodes(sequences[i]) > nodes:
            yield builder.finish()
            builder = _Builder()
        builder.add(i, sequences[i])
    if builder.pack.members:
        yield builder.finish()


def chains(sequences: Sequence[TokenSequence]) -> Iterator[Pack]:
    """Yield a pack for each sequence with a scored token: for models that cannot read a trie."""
    for i, sequence in enumerate(sequences):
        if sequence.scored:
            builder = _Builder()
            builder.add(i, sequence)
            yield builder.finish()


class _Builder:
    """Adds sorted sequences to one pack. In sorted order a sequence shares most with the one before it."""

    def __init__(self) -> None:
        self.pack = Pack()
        self.ids: tuple[int, ...] = ()
        self.path: list[int] = []  # nodes of the last sequence
        self.path_edges: list[int] = []  # edges into its tokens; -1 where a token was not scored

    def new_nodes(self, sequence: TokenSequence) -> int:
        """Return the number of nodes that `sequence` would add."""
        return len(sequence.ids) - 1 - min(self._shared(sequence.ids), len(sequence.ids) - 1, len(self.path))

    def add(self, index: int, sequence: TokenSequence) -> None:
        pack, ids = self.pack, sequence.ids
        shared = self._shared(ids)
        kept = min(shared, len(ids) - 1, len(self.path))
        self._close(kept)
        for depth in range(kept, len(ids) - 1):
            self.path.append(len(pack.tokens))
            pack.tokens.append(ids[depth])
            pack.depths.append(depth)
            pack.ends.append(-1)
        self.path_edges = self.path_edges[:shared] + [-1] * (len(ids) - min(shared, len(self.path_edges)))
        for i in range(sequence.start, len(ids)):
            if self.path_edges[i] < 0:
                self.path_edges[i] = len(pack.edge_nodes)
                pack.edge_nodes.append(self.path[i - 1])
                pack.edge_targets.append(ids[i])
        pack.members.append(index)
        pack.edges.append(self.path_edges[sequence.start :])
        self.ids = ids

    def finish(self) -> Pack:
        self._close(0)
        return self.pack

    def _close(self, depth: int) -> None:
        """End the subtrees of the path's nodes from `depth` on."""
        for node in self.path[depth:]:
            self.pack.ends[node] = len(self.pack.tokens)
        del self.path[depth:]

    def _shared(self, ids: tuple[int, ...]) -> int:
        """Return the length of the beginning shared with the last sequence."""
        length = min(len(ids), len(self.ids))
        for i in range(length):
            if ids[i] != self.ids[i]:
                return i
        return length


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group the indices of non-zero lengths, longest first, so that no padded batch exceeds `batch_tokens`.

    A length above `batch_tokens` forms a batch by itself.
    """
    batch: list[int] = []
    for i in sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
