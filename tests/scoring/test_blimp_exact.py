"""On BLiMP: the sums of a model with a vocabulary of 32,768 against float64, the decisions against lm-eval's `hf`."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from l2t_hub.evaluate.harness_model import HarnessModel
from l2t_hub.scoring import Scorer
from l2t_hub.scoring.engine import score_sequences
from l2t_hub.scoring.loading import ModelSource
from l2t_hub.scoring.trie import TokenSequence
from l2t_hub.tokens.load import load_exact_tokenizer

TOLERANCE = 1e-4
"""Nats per sentence."""


@pytest.fixture(scope="module")
def nano(shared_data: Path) -> Scorer:
    """A random model of nano's shape: 5 million parameters, 32,768 entries. Its logits spread as a trained model's."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = load_exact_tokenizer(shared_data / "tokenizer-32k")
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=32_768,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=352,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    source = ModelSource("nano", "nano", None, is_local=True)
    return Scorer(Qwen2ForCausalLM(config).eval(), tokenizer, int(tokenizer.bos_token_id), source)


def sentences(shared_data: Path, pairs: int) -> list[str]:
    """The first pairs of each of the 67 paradigms, good and bad one after the other, with lm-eval's leading space."""
    import pyarrow.parquet as pq

    seen: Counter[str] = Counter()
    found = []
    for row in pq.read_table(shared_data / "blimp" / "blimp.parquet").to_pylist():
        seen[row["UID"]] += 1
        if seen[row["UID"]] <= pairs:
            found += [f" {row['sentence_good']}", f" {row['sentence_bad']}"]
    assert len(seen) == 67
    return found


def float64_sums(scorer: Scorer, sequences: list[TokenSequence]) -> list[float]:
    """Log-likelihoods in float64, each sentence alone or with others of equal length: no padding, no shared node."""
    exact = type(scorer.model)(scorer.model.config).double().eval()
    exact.load_state_dict({name: value.double() for name, value in scorer.model.state_dict().items()})
    by_length = defaultdict(list)
    for i, sequence in enumerate(sequences):
        by_length[len(sequence.ids)].append(i)
    sums = [0.0] * len(sequences)
    for members in by_length.values():
        for start in range(0, len(members), 16):
            batch = members[start : start + 16]
            ids = torch.tensor([sequences[i].ids for i in batch])
            with torch.inference_mode():
                logits = exact(ids[:, :-1], use_cache=False).logits
            values = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
            for i, value in zip(batch, values.sum(1).tolist(), strict=True):
                sums[i] = value
    return sums


def check_sums(scorer: Scorer, texts: list[str]) -> None:
    encoded = scorer.tokenizer(texts, add_special_tokens=False)["input_ids"]
    sequences = [TokenSequence((scorer.prefix_id, *ids)) for ids in encoded]
    ours, exact = score_sequences(scorer.model, sequences).sums(), float64_sums(scorer, sequences)
    assert max(abs(a - b) for a, b in zip(ours, exact, strict=True)) < TOLERANCE


def test_sums_equal_float64_on_each_paradigm(nano: Scorer, shared_data: Path) -> None:
    check_sums(nano, sentences(shared_data, 2))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sums_equal_float64_on_500_pairs_of_each_paradigm(nano: Scorer, shared_data: Path) -> None:
    check_sums(nano, sentences(shared_data, 500))


def decisions(lm: Any, texts: list[str]) -> list[tuple[bool, bool]]:
    """For each pair: whether the good sentence is more probable, and whether the two are closer than the tolerance."""
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, ("", text), i) for i, text in enumerate(texts)]
    values = [value for value, _ in lm.loglikelihood(requests, disable_tqdm=True)]
    return [(a > b, abs(a - b) < TOLERANCE) for a, b in zip(values[::2], values[1::2], strict=True)]


def test_decisions_equal_those_of_hf_at_batch_size_1(nano: Scorer, shared_data: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    texts = sentences(shared_data, 3)
    theirs = HFLM(pretrained=nano.model, tokenizer=nano.tokenizer, batch_size=1, softmax_dtype="float32")
    ours = decisions(HarnessModel(nano), texts)
    assert not any(tie for _, tie in ours)
    assert ours == decisions(theirs, texts)
