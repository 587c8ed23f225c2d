"""The contract with transformers and the `hf` command: push a tiny model, load it by name and by revision."""

import json
import os
import subprocess
from pathlib import Path

from rows import main, raises, row


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: n for n, word in enumerate(["<s>", "</s>", "<unk>", "the", "cat", "sat"])}
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _model(seed: int):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    return Qwen2ForCausalLM(config)


def _logits(model):
    import torch

    with torch.no_grad():
        return model(torch.tensor([[3, 4, 5]])).logits


@row("push_to_hub of a model and its tokenizer, then from_pretrained by name")
def _():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = _model(0)
    url = model.push_to_hub("org/tiny")
    assert "/rehearsal/org/tiny/commit/" in str(url)
    # Beside a Qwen2 config transformers 5.23 ignores tokenizer.json's own class: the tokenizer has its own repo here.
    _tokenizer().push_to_hub("org/words")
    loaded = AutoModelForCausalLM.from_pretrained("org/tiny")
    assert torch.equal(_logits(loaded), _logits(model))
    assert AutoTokenizer.from_pretrained("org/words")("the cat sat")["input_ids"] == [3, 4, 5]


@row("from_pretrained takes a revision")
def _():
    import torch
    from huggingface_hub import HfApi
    from transformers import AutoModelForCausalLM

    HfApi().create_tag("org/tiny", tag="v1")
    _model(1).push_to_hub("org/tiny")
    old, new = (AutoModelForCausalLM.from_pretrained("org/tiny", revision=rev) for rev in ("v1", "main"))
    assert torch.equal(_logits(old), _logits(_model(0)))
    assert torch.equal(_logits(new), _logits(_model(1)))


@row("from_pretrained from a pull request, before it is merged")
def _():
    import torch
    from transformers import AutoModelForCausalLM

    pull = _model(2).push_to_hub("org/tiny", create_pr=True)
    waiting = AutoModelForCausalLM.from_pretrained("org/tiny", revision=pull.pr_revision)
    assert torch.equal(_logits(waiting), _logits(_model(2)))


@row("a missing model is reported as missing")
def _():
    from transformers import AutoModelForCausalLM

    error = raises(OSError, lambda: AutoModelForCausalLM.from_pretrained("org/nope"))
    assert "org/nope" in str(error)


def _hf(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        ["hf", *arguments], capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


@row("hf auth whoami")
def _():
    assert "rehearsal" in _hf("auth", "whoami")


@row("hf repos create, upload, tag, download")
def _():
    Path("up").mkdir()
    Path("up/a.txt").write_text("a")
    Path("up/b.bin").write_bytes(bytes(range(256)) * 99)
    _hf("repos", "create", "org/cli", "--type", "dataset")
    assert "/rehearsal/datasets/org/cli" in _hf("upload", "org/cli", "up", ".", "--type", "dataset")
    _hf("repos", "tag", "create", "org/cli", "v1", "--type", "dataset")
    _hf("download", "org/cli", "--type", "dataset", "--revision", "v1", "--local-dir", "down")
    assert Path("down/b.bin").read_bytes() == Path("up/b.bin").read_bytes()


@row("hf datasets info and hf models list")
def _():
    assert json.loads(_hf("datasets", "info", "org/cli", "--format", "json"))["id"] == "org/cli"
    assert "org/tiny" in _hf("models", "ls", "--author", "org", "--format", "json")


if __name__ == "__main__":
    main()
