"""The one engine for log-likelihoods: equal sequences are scored once, and shared beginnings are computed once.

A Qwen2 model reads tries: each node attends to its ancestors and its position is its depth, so its state is the one
it has in each of its sequences. Any other model reads batches of single sequences of similar length.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch

from l2t_hub.errors import UserError
from l2t_hub.scoring.output_layer import log_probabilities
from l2t_hub.scoring.replicas import run_on_all
from l2t_hub.scoring.trie import Pack, TokenSequence, batches, chains, tries

PACK_NODES = 128
"""Nodes of a trie. Attention costs their square; a smaller trie repeats more beginnings."""
BATCH_TOKENS = {"cpu": 2048}
"""Input tokens of a forward pass, padding included, by type of device."""
BATCH_TOKENS_ELSEWHERE = 16_384


@dataclass(frozen=True)
class LogProbabilities:
    """Natural log-probabilities of the scored tokens of many sequences, and whether each token was the likeliest.

    `values` and `highest` hold the tokens of all sequences, one after the other; `starts` has where each sequence
    begins, and the total number of tokens at its end.
    """

    values: np.ndarray
    highest: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, i: int) -> np.ndarray:
        """Return the log-probabilities of the scored tokens of sequence i."""
        return self.values[self.starts[i] : self.starts[i + 1]]

    def sums(self) -> list[float]:
        """Return the log-likelihood of each sequence, 0 for one without scored tokens."""
        return [float(self.values[a:b].sum()) for a, b in pairwise(self.starts)]

    def greedy(self) -> list[bool]:
        """Return for each sequence whether every scored token was the likeliest one."""
        return [bool(self.highest[a:b].all()) for a, b in pairwise(self.starts)]


def reads_tries(model: Any) -> bool:
    """Whether a model takes its mask and positions from the caller: Qwen2 with plain rotary positions, no window."""
    from transformers import Qwen2ForCausalLM

    if type(model) is not Qwen2ForCausalLM:
        return False
    config = model.config
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    return (
        set(config.layer_types or ()) == {"full_attention"}
        and rope == "default"
        and config._attn_implementation == "sdpa"
        and model.lm_head.bias is None
    )


def batch_rule(batch_tokens: int | None) -> str:
    """Return in words how sequences share forward passes, for the record of an evaluation."""
    budget = batch_tokens or f"{BATCH_TOKENS['cpu']} (CPU) or {BATCH_TOKENS_ELSEWHERE} (elsewhere)"
    return (
        f"Qwen2: tries of {PACK_NODES} nodes, others: single sequences; {budget} input tokens a forward pass"
    )


def score_sequences(
    model: Any,
    sequences: Sequence[TokenSequence],
    *,
    batch_tokens: int | None = None,
    pack_nodes: int = PACK_NODES,
    progress: Callable[[int], None] | None = None,
) -> LogProbabilities:
    """Return the log-probabilities of the scored tokens of all sequences, in order. Batching does not change them.

    `batch_tokens` bounds the input tokens of a forward pass; one longer sequence is a pass by itself. A GPU without
    enough memory gets smaller passes. `progress` is called with the number of different sequences as they are done.

    A model with copies on further devices (`replicas`) uses them all. Raises UserError if one sequence alone does not
    fit into the GPU's memory.
    """
    index: dict[TokenSequence, int] = {}
    places = [index.setdefault(sequence, len(index)) for sequence in sequences]
    different = list(index)
    budget = batch_tokens or BATCH_TOKENS.get(model.device.type, BATCH_TOKENS_ELSEWHERE)
    as_tries = reads_tries(model)
    packs = tries(different, min(pack_nodes, budget)) if as_tries else chains(different)
    starts = np.array([0, *accumulate(sequence.scored for sequence in different)])
    values, highest = np.zeros(starts[-1]), np.zeros(starts[-1], dtype=bool)

    def forward(replica: Any, batch: list[Pack]) -> list[tuple[np.ndarray, np.ndarray]]:
        return _forward(replica, batch, as_tries)

    for batch, results in run_on_all(model, _batches(packs, budget), forward):
        for pack, (pack_values, pack_highest) in zip(batch, results, strict=True):
            for member, edges in zip(pack.members, pack.edges, strict=True):
                mine = slice(starts[member], starts[member + 1])
                values[mine], highest[mine] = pack_values[edges], pack_highest[edges]
        if progress:
            progress(sum(len(pack.members) for pack in batch))
    return _repeated(LogProbabilities(values, highest, starts), places)


def _batches(packs: Iterator[Pack], budget: int) -> Iterator[list[Pack]]:
    """Group packs of similar size. A window of packs is sorted, so that not all of them are held at once."""
    window: list[Pack] = []
    tokens = 0
    for pack in packs:
        window.append(pack)
        tokens += len(pack)
        if tokens >= 32 * budget:
            yield from ([window[i] for i in batch] for batch in batches([len(p) for p in window], budget))
            window, tokens = [], 0
    yield from ([window[i] for i in batch] for batch in batches([len(p) for p in window], budget))


def _repeated(scores: LogProbabilities, places: Sequence[int]) -> LogProbabilities:
    """Return the scores of the sequences at `places`."""
    if len(places) == len(scores):
        return scores
    lengths = np.diff(scores.starts)[list(places)]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    chosen = np.concatenate([np.arange(scores.starts[i], scores.starts[i + 1]) for i in places])
    return LogProbabilities(scores.values[chosen], scores.highest[chosen], starts)


def _forward(model: Any, packs: Sequence[Pack], as_tries: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return log-probability and `highest` of each edge of each pack. A full GPU gets half the batch."""
    try:
        return _forward_once(model, packs, as_tries)
    except torch.OutOfMemoryError as error:
        if len(packs) == 1:
            raise UserError(
                f"the GPU has too little memory for a sequence of {len(packs[0])} tokens: {str(error)[:200]}",
                "Use another device (`--device cpu`), bfloat16 (`--dtype bfloat16`) or shorter texts.",
            ) from error
    torch.cuda.empty_cache()
    half = len(packs) // 2
    return _forward(model, packs[:half], as_tries) + _forward(model, packs[half:], as_tries)


def _forward_once(model: Any, packs: Sequence[Pack], as_tries: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    width, device = max(map(len, packs)), model.device
    tokens = torch.zeros(len(packs), width, dtype=torch.long)
    for row, pack in enumerate(packs):
        tokens[row, : len(pack)] = torch.tensor(pack.tokens)
    # Node -> position in the flattened batch, and from there to the row of its hidden state.
    nodes = torch.cat([torch.tensor(pack.edge_nodes) + row * width for row, pack in enumerate(packs)])
    targets = torch.tensor([target for pack in packs for target in pack.edge_targets]).to(device)
    scored, rows = torch.unique(nodes, return_inverse=True)
    with torch.inference_mode():
        if as_tries:
            hidden = _trie_states(model, tokens.to(device), packs, width)
            hidden = hidden.reshape(-1, hidden.shape[-1])[scored.to(device)]
            values, highest = log_probabilities(hidden, model.lm_head.weight, rows.to(device), targets)
        else:
            lengths = torch.tensor([len(pack) for pack in packs])
            mask = torch.arange(width) < lengths[:, None]
            logits = model(
                input_ids=tokens.to(device), attention_mask=mask.long().to(device), use_cache=False
            ).logits
            # Always in float32: a bfloat16 softmax is too coarse to compare similar sentences.
            chosen = logits.reshape(-1, logits.shape[-1])[nodes.to(device)].float()
            target_logits = chosen.gather(1, targets[:, None])[:, 0]
            values, highest = target_logits - chosen.logsumexp(1), target_logits == chosen.amax(1)
    ends = np.cumsum([len(pack.edge_nodes) for pack in packs])[:-1]
    parts = (np.split(array, ends) for array in (values.double().cpu().numpy(), highest.cpu().numpy()))
    return list(zip(*parts, strict=True))


def _trie_states(model: Any, tokens: torch.Tensor, packs: Sequence[Pack], width: int) -> torch.Tensor:
    """Return the states after the last norm, (packs, width, hidden). A padding node attends to itself only."""
    depths = torch.zeros(len(packs), width, dtype=torch.long)
    ends = torch.arange(1, width + 1).repeat(len(packs), 1)
    for row, pack in enumerate(packs):
        depths[row, : len(pack)] = torch.tensor(pack.depths)
        ends[row, : len(pack)] = torch.tensor(pack.ends)
    node = torch.arange(width, device=tokens.device)
    ancestors = (node[None, :] <= node[:, None]) & (node[:, None] < ends.to(tokens.device)[:, None, :])
    states: torch.Tensor = model.model(
        input_ids=tokens,
        attention_mask={"full_attention": ancestors[:, None]},
        position_ids=depths.to(tokens.device),
        use_cache=False,
    ).last_hidden_state
    return states
