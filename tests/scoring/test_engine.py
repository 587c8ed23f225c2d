"""The engine against a float64 computation token by token, for tries, chains, slices, precisions and full GPUs."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_tiny_model
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from l2t_hub.errors import UserError
from l2t_hub.scoring import engine, load_scorer, output_layer
from l2t_hub.scoring.engine import reads_tries, score_sequences
from l2t_hub.scoring.replicas import replicas
from l2t_hub.scoring.trie import Pack, TokenSequence

SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "initializer_range": 0.5,
}


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    config, family = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[
        request.param
    ]
    return family(config(**SHAPE)).eval()


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices that do not divide the vocabulary and the positions."""
    monkeypatch.setattr(output_layer, "ROWS", {"cpu": 13})
    monkeypatch.setattr(output_layer, "ENTRIES", {"cpu": 25})


def reference(model: Any, sequence: TokenSequence) -> tuple[list[float], bool]:
    """Each token's log-probability from a forward pass of its own, in float64."""
    exact = type(model)(model.config).double().eval()
    exact.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    values, greedy = [], True
    for i in range(sequence.start, len(sequence.ids)):
        with torch.no_grad():
            logits = exact(torch.tensor([sequence.ids[:i]])).logits[0, -1]
        values.append(float(logits.log_softmax(-1)[sequence.ids[i]]))
        greedy &= int(logits.argmax()) == sequence.ids[i]
    return values, greedy


def random_sequences(seed: int, count: int, tokens: int = 96) -> list[TokenSequence]:
    draw = random.Random(seed)
    return [
        TokenSequence(tuple(draw.randrange(tokens) for _ in range(length)), draw.randrange(1, length + 1))
        for length in (draw.randrange(1, 14) for _ in range(count))
    ]


def test_qwen2_reads_tries_and_others_do_not(model: Any) -> None:
    assert reads_tries(model) == isinstance(model, Qwen2ForCausalLM)


@pytest.mark.parametrize(
    "change", [{"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}]
)
def test_a_qwen2_with_a_sliding_window_reads_chains(change: dict[str, Any]) -> None:
    assert not reads_tries(Qwen2ForCausalLM(Qwen2Config(**(SHAPE | change))))


@pytest.mark.parametrize(
    ("batch_tokens", "pack_nodes"), [(None, 128), (1, 128), (40, 7), (64, 1), (10_000, 64)]
)
def test_sums_equal_float64_for_any_batch(model: Any, batch_tokens: int | None, pack_nodes: int) -> None:
    # Two different tokens give deep tries; 96 give wide ones.
    sequences = random_sequences(1, 12, tokens=2) + random_sequences(2, 8) + [TokenSequence((5,))]
    sequences += sequences[:3]
    scores = score_sequences(model, sequences, batch_tokens=batch_tokens, pack_nodes=pack_nodes)
    assert len(scores) == len(sequences)
    for i, sequence in enumerate(sequences):
        values, greedy = reference(model, sequence)
        assert list(scores.of(i)) == pytest.approx(values, abs=1e-5)
        assert scores.sums()[i] == pytest.approx(math.fsum(values), abs=1e-4)
        assert scores.greedy()[i] == greedy


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(4, 40))
def test_random_tries_equal_chains(seed: int, tokens: int, pack_nodes: int) -> None:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE)).eval()
    sequences = random_sequences(seed, 25, tokens)
    tries = score_sequences(model, sequences, pack_nodes=pack_nodes)
    alone = [score_sequences(model, [sequence]) for sequence in sequences]
    assert tries.sums() == pytest.approx([one.sums()[0] for one in alone], abs=1e-4)


def test_equal_sequences_and_shared_beginnings_are_computed_once(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    forward = engine._forward_once

    def counting(model: Any, packs: list[Pack], as_tries: bool) -> Any:
        seen.append(sum(map(len, packs)))
        return forward(model, packs, as_tries)

    monkeypatch.setattr(engine, "_forward_once", counting)
    sequences = [TokenSequence((1, 2, 3, 4)), TokenSequence((1, 2, 3, 5)), TokenSequence((1, 2, 3, 4))]
    done: list[int] = []
    score_sequences(model, sequences, progress=done.append)
    assert sum(seen) == (3 if reads_tries(model) else 6)
    assert sum(done) == 2


def test_bfloat16_is_summed_in_float32(model: Any) -> None:
    half = type(model)(model.config).to(torch.bfloat16).eval()
    half.load_state_dict(model.state_dict())
    sequences = random_sequences(3, 10)
    rough = score_sequences(half, sequences)
    for i, sequence in enumerate(sequences):
        with torch.no_grad():
            logits = half(torch.tensor([sequence.ids])).logits[0].float().log_softmax(-1)
        expected = [float(logits[j - 1, sequence.ids[j]]) for j in range(sequence.start, len(sequence.ids))]
        # One unit in the last place of a bfloat16 logit near 16 is 0.125.
        assert list(rough.of(i)) == pytest.approx(expected, abs=0.5)


def test_nothing_to_score(model: Any) -> None:
    assert score_sequences(model, []).sums() == []
    scores = score_sequences(model, [TokenSequence((1,)), TokenSequence((1,))])
    assert (scores.sums(), scores.greedy()) == ([0.0, 0.0], [True, True])


@pytest.fixture
def gpu_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Forward passes of more packs than the last entry of the list raise torch's error for a full GPU."""
    limit = [10**6]
    forward = engine._forward_once

    def limited(model: Any, packs: list[Pack], as_tries: bool) -> Any:
        if len(packs) > limit[-1]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(model, packs, as_tries)

    monkeypatch.setattr(engine, "_forward_once", limited)
    return limit


def test_a_full_gpu_gets_smaller_passes(model: Any, gpu_for: list[int]) -> None:
    sequences = random_sequences(4, 20)
    expected = score_sequences(model, sequences, pack_nodes=16).sums()
    gpu_for.append(1)
    assert score_sequences(model, sequences, pack_nodes=16).sums() == pytest.approx(expected, abs=1e-4)


def test_a_sequence_that_no_gpu_pass_can_hold_is_an_error(model: Any, gpu_for: list[int]) -> None:
    gpu_for.append(0)
    with pytest.raises(UserError, match="too little memory for a sequence of 2 tokens"):
        score_sequences(model, [TokenSequence((1, 2, 3))])


def test_copies_of_a_model_share_the_batches_and_change_no_score(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = str(make_tiny_model(tmp_path / "model"))
    alone, shared = load_scorer(directory, device="cpu"), load_scorer(directory, device="cpu,cpu,cpu")
    assert len({id(model) for model in replicas(shared.model)}) == 3
    used: set[int] = set()
    everyone = Barrier(3, timeout=60)
    once = engine._forward_once

    def forward(model: Any, packs: Any, as_tries: bool) -> Any:
        if id(model) not in used:
            used.add(id(model))
            everyone.wait()  # until all three copies have a batch
        return once(model, packs, as_tries)

    sequences = random_sequences(4, 40)
    expected = score_sequences(alone.model, sequences, batch_tokens=64, pack_nodes=16)
    monkeypatch.setattr(engine, "_forward_once", forward)
    found = score_sequences(shared.model, sequences, batch_tokens=64, pack_nodes=16)
    assert used == {id(model) for model in replicas(shared.model)}
    assert found.sums() == pytest.approx(expected.sums(), abs=1e-4)
    monkeypatch.setattr(
        engine, "_forward_once", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full"))
    )
    with pytest.raises(UserError, match="too little memory"):
        score_sequences(shared.model, sequences, batch_tokens=64, pack_nodes=16)
