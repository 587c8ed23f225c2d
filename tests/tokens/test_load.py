"""Loading tokenizers: every form that works, and a clear error for every form that does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from l2t_hub.errors import UsageError, UserError
from l2t_hub.tokens.load import (
    auto_tokenizer_agrees,
    encoder_of,
    load_encoder,
    load_exact_tokenizer,
    load_tokenizer,
)
from l2t_hub.tokens.train_bpe import train_bpe

from .families import LINES, SAFE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_bpe(LINES * 3, 400).save_pretrained(folder)
    return folder


def without(folder: Path, to: Path, *keys: str) -> Path:
    """A copy of the tokenizer folder whose configuration lacks `keys`."""
    shutil.copytree(folder, to)
    file = to / "tokenizer_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in config.items() if key not in keys}))
    return to


def test_a_folder_and_its_file_give_the_same_encoder(folder: Path) -> None:
    expected = AutoTokenizer.from_pretrained(folder)(LINES)["input_ids"]
    for name in (str(folder), str(folder / "tokenizer.json")):
        encoder = encoder_of(load_tokenizer(name))
        assert (encoder.bos_id, encoder.eos_id, encoder.pad_id) == (0, 1, 1)
        encoded = encoder.encode(LINES, bos=True)
        assert encoded.ids.tolist() == [id for ids in expected for id in ids]


def test_a_lone_file_has_no_bos(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "tokenizer.json", tmp_path / "tokenizer.json")
    for name in (tmp_path, tmp_path / "tokenizer.json"):
        with pytest.raises(UsageError, match="no BOS token"):
            encoder_of(load_tokenizer(str(name)))


def test_bos_is_only_needed_where_the_recipe_wants_it(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(without(folder, tmp_path / "t", "bos_token")))
    with pytest.raises(UsageError, match=r"recipe.yaml:3: the tokenizer has no BOS token") as error:
        encoder_of(tokenizer, where="recipe.yaml:3")
    assert "tokenizer.bos=false" in (error.value.hint or "")
    assert encoder_of(tokenizer, bos=False).bos_id is None


def test_padding_is_eos_else_the_padding_token_else_an_error(folder: Path, tmp_path: Path) -> None:
    assert encoder_of(load_tokenizer(str(without(folder, tmp_path / "a", "pad_token")))).pad_id == 1
    assert encoder_of(load_tokenizer(str(without(folder, tmp_path / "b", "eos_token")))).pad_id == 1
    with pytest.raises(UsageError, match="neither an EOS nor a padding token"):
        encoder_of(load_tokenizer(str(without(folder, tmp_path / "c", "pad_token", "eos_token"))))


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/such/folder", "~/none/here", "a/b/c", "my-tokenizer.json"]
)
def test_a_missing_path_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="there is no tokenizer at") as error:
        load_tokenizer(name, where="r.yaml:7")
    assert str(error.value).startswith(f"r.yaml:7: there is no tokenizer at {name}")
    assert error.value.exit_code == 2


def test_a_hub_name_out_of_reach_says_what_to_do() -> None:
    with pytest.raises(
        UserError, match="cannot load the tokenizer nobody/nothing at revision abc from the Hub"
    ) as error:
        load_tokenizer("nobody/nothing", "abc")
    assert error.value.exit_code == 1
    assert "network" in (error.value.hint or "")


def test_folders_and_files_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no tokenizer that can be loaded"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    for name in (tmp_path, tmp_path / "tokenizer.json"):
        with pytest.raises(UsageError, match="is not a tokenizer file"):
            load_tokenizer(str(name))


def test_the_file_is_read_as_written(tmp_path: Path) -> None:
    """AutoTokenizer would replace the pre-tokenizer of a tokenizer whose configuration says Llama."""
    definition = SAFE["mistral, bytes"]()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=definition, bos_token="<s>", eos_token="</s>")
    folder = tmp_path / "llama"
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tokenizer_class": "LlamaTokenizer"}))
    loaded = load_tokenizer(str(folder))
    was, now = (json.loads(t.to_str()) for t in (definition, loaded.backend_tokenizer))
    for step in ("normalizer", "pre_tokenizer", "model", "added_tokens"):
        assert now[step] == was[step]


@pytest.fixture
def requests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, str | None]]:
    """Answer requests for the Hub model org/model from `folder`; the list records each loader and revision."""
    requests: list[tuple[object, str | None]] = []

    def local(cls: type) -> Callable[..., object]:
        original = cls.from_pretrained

        def from_pretrained(name: str, revision: str | None = None, **more: object) -> object:
            if name == "org/model":
                requests.append((cls, revision))
            return original(folder)

        return from_pretrained

    def download(name: str, file: str, revision: str | None = None, local_files_only: bool = False) -> str:
        assert not local_files_only
        requests.append((file, revision))
        return str(folder / file)

    for cls in (AutoTokenizer, PreTrainedTokenizerFast):
        monkeypatch.setattr(cls, "from_pretrained", local(cls))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return requests


@pytest.mark.parametrize("revision", [None, "v1.0"])
def test_a_hub_name_is_requested_at_its_revision(
    requests: list[tuple[object, str | None]], revision: str | None
) -> None:
    tokenizer = load_tokenizer("org/model", revision)
    assert encoder_of(tokenizer).encode(["the dog"]).lengths.sum() > 0
    assert requests == [("tokenizer.json", revision), (PreTrainedTokenizerFast, revision or "main")]


def test_only_a_repository_without_tokenizer_json_is_left_to_auto_tokenizer(
    requests: list[tuple[object, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = RemoteEntryNotFoundError(
        "missing", response=httpx.Response(404, request=httpx.Request("GET", "h:"))
    )
    for error, loaders in (
        (missing, [(AutoTokenizer, "main")]),
        (LocalEntryNotFoundError("unreachable"), []),
    ):

        def fail(*args: object, error: Exception = error, **kwargs: object) -> None:
            raise error

        requests.clear()
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
        monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
        if loaders:
            load_tokenizer("org/model")
        else:
            with pytest.raises(UserError, match="unreachable"):
                load_tokenizer("org/model")
        assert requests == loaders


def test_whether_auto_tokenizer_agrees(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text('{"model_type": "qwen2"}')
    assert auto_tokenizer_agrees(tmp_path / "m")
    file = tmp_path / "m" / "tokenizer.json"
    definition = json.loads(file.read_text())
    definition["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "use_regex": False,
        "trim_offsets": True,
    }
    file.write_text(json.dumps(definition))
    assert load_exact_tokenizer(tmp_path / "m").backend_tokenizer.pre_tokenizer is not None
    assert not auto_tokenizer_agrees(tmp_path / "m")


def test_an_encoder_from_the_file_alone(folder: Path) -> None:
    encoder = load_encoder(folder, bos_id=0, eos_id=1, pad_id=1)
    assert (
        encoder.encode(LINES).ids.tolist()
        == encoder_of(load_tokenizer(str(folder))).encode(LINES).ids.tolist()
    )


def test_a_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    ByT5Tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="ByT5Tokenizer, which is slow"):
        load_tokenizer(str(tmp_path))


def test_the_data_folders_tokenizer(shared_data: Path) -> None:
    tokenizer = load_tokenizer(str(shared_data / "tokenizer-32k"))
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    encoder = encoder_of(tokenizer)
    assert (encoder.bos_id, encoder.eos_id, encoder.pad_id, encoder.vocab_size) == (1, 2, 2, 32_768)
    assert encoder.method == "words"
