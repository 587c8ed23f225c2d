"""The scorer against a token-by-token computation, against lm-evaluation-harness, and on unusual input."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import make_tiny_model
from tokenizers import Tokenizer

from l2t_hub.errors import UserError
from l2t_hub.scoring import Scorer, find_model, load_scorer, score

SENTENCES = [
    "The cat sat.",
    "The children near the old river were very tired that evening.",
    "",
    "No",
    "Was it 7 o'clock? Naïve café 😀 日本語",
    "The cat sat.",
    " a leading space",
]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return load_scorer(str(tiny_model), device="cpu")


def naive_bits(scorer: Scorer, sentence: str) -> list[float]:
    """Compute each token's surprisal with a forward pass of its own: no batch, no padding, no shifted targets."""
    ids = scorer.tokenizer.encode(sentence, add_special_tokens=False)
    bits = []
    for i, token in enumerate(ids):
        context = torch.tensor([[scorer.prefix_id, *ids[:i]]])
        with torch.no_grad():
            probabilities = torch.softmax(scorer.model(context).logits[0, -1].double(), dim=-1)
        bits.append(-math.log2(float(probabilities[token])))
    return bits


@pytest.mark.parametrize("batch_tokens", [1, 20, 64, 4096])
def test_score_equals_the_naive_computation_for_any_batch(scorer: Scorer, batch_tokens: int) -> None:
    scores = score(scorer, SENTENCES, batch_tokens=batch_tokens)
    assert [s.sentence for s in scores] == SENTENCES
    for result in scores:
        expected = naive_bits(scorer, result.sentence)
        assert [t.bits for t in result.tokens] == pytest.approx(expected, abs=1e-4)
        assert result.bits == pytest.approx(sum(expected), abs=1e-3)


def test_tokens_have_the_positions_of_their_characters(scorer: Scorer) -> None:
    for result in score(scorer, SENTENCES):
        covered: set[int] = set()
        for token in result.tokens:
            assert token.text == result.sentence[token.start : token.end]
            assert token.end > token.start
            covered |= set(range(token.start, token.end))
        missing = set(range(len(result.sentence))) - covered
        assert all(result.sentence[i].isspace() for i in missing)


def test_scores_equal_the_log_likelihoods_of_lm_eval(scorer: Scorer) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    sentences = [s for s in SENTENCES if s]
    lm = HFLM(pretrained=scorer.model, tokenizer=scorer.tokenizer, batch_size=3, softmax_dtype="float32")
    requests = [Instance("loglikelihood", {}, ("", s), i) for i, s in enumerate(sentences)]
    theirs = [value for value, _ in lm.loglikelihood(requests, disable_tqdm=True)]
    ours = [s.log_probability for s in score(scorer, sentences)]
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert lm.prefix_token_id == scorer.prefix_id


def test_bits_and_log_probability_agree(scorer: Scorer) -> None:
    (result,) = score(scorer, ["The cat sat."])
    assert result.log_probability == pytest.approx(math.log(2**-result.bits))


def test_the_prefix_is_bos_or_the_given_token(scorer: Scorer, tiny_model: Path) -> None:
    assert scorer.prefix == "<s>"
    assert scorer.prefix_id == scorer.tokenizer.bos_token_id
    replaced = load_scorer(str(tiny_model), device="cpu", prefix_id=5)
    assert replaced.prefix_id == 5
    (a,), (b,) = score(scorer, ["The cat"]), score(replaced, ["The cat"])
    assert a.tokens[0].bits != b.tokens[0].bits


def test_without_bos_the_prefix_is_eos_and_without_both_it_is_an_error(
    tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from l2t_hub.scoring.loading import _prefix

    fast = AutoTokenizer.from_pretrained(tiny_model).backend_tokenizer
    only_eos = PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="</s>")
    assert _prefix("m", only_eos, None) == only_eos.eos_token_id
    with pytest.raises(UserError, match="neither a BOS nor an EOS"):
        _prefix("m", PreTrainedTokenizerFast(tokenizer_object=fast), None)


def test_nothing_to_score(scorer: Scorer) -> None:
    assert score(scorer, []) == []
    assert score(scorer, [""])[0].bits == 0


def test_a_sentence_too_long_for_the_model_is_an_error(scorer: Scorer) -> None:
    longest = "a " * 200
    with pytest.raises(UserError, match="the model reads at most 128"):
        score(scorer, ["short", longest])
    fits = next(longest[:n] for n in range(400, 0, -1) if len(scorer.tokenizer.encode(longest[:n])) <= 128)
    assert math.isfinite(score(scorer, [fits])[0].bits)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_can_be_scored(scorer: Scorer, text: str) -> None:
    (result,) = score(scorer, [text])
    assert all(math.isfinite(t.bits) and t.bits >= -1e-6 for t in result.tokens)
    assert bool(result.tokens) == bool(text)


def test_a_missing_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "nano-raw").mkdir()
    with pytest.raises(UserError, match="nano-rw: no such file or directory") as caught:
        load_scorer(str(tmp_path / "nano-rw"))
    assert "nano-raw" in str(caught.value)
    with pytest.raises(UserError, match=r"no config\.json"):
        load_scorer(str(tmp_path / "nano-raw"))


def test_the_error_for_a_directory_of_models_lists_them(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "config.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        find_model(str(tmp_path))
    assert str(tmp_path / "raw") in str(caught.value)


def test_a_broken_model_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot load this model"):
        load_scorer(str(tmp_path))


def test_a_hub_name_offline_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_model("l2t-project/no-such-model@v1")
    assert (source.location, source.revision, source.is_local) == ("l2t-project/no-such-model", "v1", False)
    with pytest.raises(UserError, match="not in the Hub cache of this machine"):
        load_scorer("l2t-project/no-such-model@v1")


def test_the_tokenizer_is_the_one_in_tokenizer_json(tiny_model: Path) -> None:
    """For a qwen2 model, AutoTokenizer of transformers 5 ignores the pre-tokenizer in tokenizer.json."""
    defined = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    loaded = load_scorer(str(tiny_model), device="cpu").tokenizer
    for sentence in SENTENCES:
        assert (
            loaded.encode(sentence, add_special_tokens=False)
            == defined.encode(sentence, add_special_tokens=False).ids
        )
