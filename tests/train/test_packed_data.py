"""Batches, their order, attention within a pack, and errors for data that do not fit the recipe."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_release import make_dataset
from tiny_release import tiny_recipe as release_recipe
from tiny_run import LENGTH, tiny_recipe, write_packed
from transformers import Qwen2ForCausalLM

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.download import Download
from l2t_hub.train.locate import locate
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.packed_data import Collator, check_packed
from l2t_hub.train.row_order import EpochSampler, epoch_order, order_within, partition_order

ROW = {"input_ids": np.arange(10, 18), "lengths": np.array([3, 1, 2])}
FULL = {"input_ids": np.arange(20, 28), "lengths": np.array([8])}


def collate(**keys: Any) -> dict[str, list[list[int]]]:
    return {name: tensor.tolist() for name, tensor in Collator(**keys)([ROW, FULL]).items()}


def test_padding_has_no_loss_unless_the_recipe_says_so() -> None:
    batch = collate()
    assert set(batch) == {"input_ids", "labels"}
    assert batch["input_ids"] == [list(range(10, 18)), list(range(20, 28))]
    assert batch["labels"] == [[10, 11, 12, 13, 14, 15, -100, -100], list(range(20, 28))]
    assert collate(loss_on_padding=True)["labels"] == batch["input_ids"]


def test_per_example_positions_restart_and_no_text_predicts_the_next() -> None:
    batch = collate(attention="example")
    assert batch["position_ids"] == [[0, 1, 2, 0, 0, 1, 0, 1], list(range(8))]
    assert batch["labels"] == [[-100, 11, 12, -100, -100, 15, -100, -100], [-100, *range(21, 28)]]


def test_the_loss_of_a_pack_is_the_mean_of_its_texts_losses() -> None:
    model = new_model(model_config(tiny_recipe(), 300), 1)
    use_sliced_loss(model)
    lengths = [9, 2, 20, 14]
    ids = np.random.default_rng(0).integers(0, 300, 50)
    loss = model(**Collator("example")([{"input_ids": ids, "lengths": np.array(lengths)}]))["loss"].item()
    texts = np.split(ids, np.cumsum(lengths))[:-1]
    alone = [
        model(input_ids=torch.tensor(t)[None], labels=torch.tensor(t)[None])["loss"].item() for t in texts
    ]
    predicted = np.array(lengths) - 1
    assert loss == pytest.approx(np.dot(alone, predicted) / predicted.sum(), rel=1e-5)


def test_padding_changes_nothing_before_it() -> None:
    model: Qwen2ForCausalLM = new_model(model_config(tiny_recipe(), 300), 1).eval()
    for attention in ("pack", "example"):
        logits = []
        for filler in (1, 7):
            ids = np.concatenate([np.arange(10, 30), np.full(12, filler)])
            inputs = Collator(attention)([{"input_ids": ids, "lengths": np.array([12, 8])}])
            inputs.pop("labels")
            with torch.no_grad():
                logits.append(model(**inputs, use_cache=False).logits[:, :20])
        assert torch.equal(*logits)


def padded_logits(inputs: dict[str, torch.Tensor], filler: int, model: Qwen2ForCausalLM) -> torch.Tensor:
    """The logits of two texts of 20 tokens in all and 12 of padding, the first of which is `filler`."""
    ids = inputs["input_ids"].clone()
    ids[0, 20] = filler
    mask = {key: value for key, value in inputs.items() if key == "attention_mask"}
    with torch.no_grad():
        return model(input_ids=ids, **mask, use_cache=False).logits[0]


def test_padding_that_is_trained_on_is_predicted_from_the_texts_alone() -> None:
    """As in the paper: every label is the input, and the attention mask leaves padding out."""
    model: Qwen2ForCausalLM = new_model(model_config(tiny_recipe(), 300), 1).eval()
    ids = np.concatenate([np.arange(10, 30), np.full(12, 1)])
    inputs = Collator(loss_on_padding=True)([{"input_ids": ids, "lengths": np.array([12, 8])}])
    assert inputs["labels"].tolist() == inputs["input_ids"].tolist()
    assert inputs["attention_mask"].tolist() == [[1] * 20 + [0] * 12]
    one, other = (padded_logits(inputs, filler, model) for filler in (1, 7))
    assert torch.equal(one[:20], other[:20])
    assert torch.equal(one[21:], other[21:]), "later padding does not see the padding before it"
    unmasked = {"input_ids": inputs["input_ids"]}
    one, other = (padded_logits(unmasked, filler, model) for filler in (1, 7))
    assert not torch.allclose(one[21:], other[21:]), "without the mask it does: the check can fail"


def test_the_loss_with_padding_is_that_of_transformers() -> None:
    model: Qwen2ForCausalLM = new_model(model_config(tiny_recipe(), 300), 1)
    ids = np.concatenate([np.arange(10, 30), np.full(12, 1)])
    rows = [
        {"input_ids": ids, "lengths": np.array([12, 8])},
        {"input_ids": ids[::-1], "lengths": np.array([32])},
    ]
    inputs = Collator(loss_on_padding=True)(rows)
    expected = model(**inputs).loss.item()
    use_sliced_loss(model)
    assert model(**inputs)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_rows_without_padding_need_no_mask() -> None:
    row = {"input_ids": np.arange(10, 30), "lengths": np.array([12, 8])}
    assert set(Collator(loss_on_padding=True)([row])) == {"input_ids", "labels"}
    assert set(Collator()([row])) == {"input_ids", "labels"}


def test_an_epochs_order_depends_only_on_seed_and_epoch() -> None:
    orders = {(s, e): tuple(epoch_order(50, s, e)) for s in (1, 2) for e in (0, 1)}
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert len(set(orders.values())) == 4
    assert orders[1, 0] == tuple(epoch_order(50, 1, 0))
    # The order is pinned, so that a later version can continue a run.
    assert epoch_order(10, 42, 0).tolist() == [7, 4, 6, 2, 9, 8, 5, 0, 1, 3]


def test_a_run_reads_epoch_after_epoch_without_a_gap() -> None:
    order = list(EpochSampler(10, 42, 25))
    assert len(order) == len(EpochSampler(10, 42, 25)) == 25
    assert order[:10] == epoch_order(10, 42, 0).tolist()
    assert order[10:20] == epoch_order(10, 42, 1).tolist()
    assert order[20:] == epoch_order(10, 42, 2)[:5].tolist()


def test_by_partitions_an_epoch_reads_one_after_another_each_in_its_own_order() -> None:
    sizes = (4, 0, 5, 3)
    order = list(EpochSampler(12, 42, 30, sizes))
    expected = []
    for epoch in range(3):
        for partition in partition_order(4, 42, epoch):
            rows = order_within(partition, sizes[partition], 42, epoch)
            expected += (sum(sizes[:partition]) + rows).tolist()
    assert order == expected[:30]
    assert sorted(order[:12]) == sorted(order[12:24]) == list(range(12))
    assert order[:12] != order[12:24]
    # The order is pinned, so that a later version can continue a run.
    assert order[:12] == [3, 0, 2, 1, 11, 10, 9, 6, 8, 4, 7, 5]
    assert list(EpochSampler(12, 43, 12, sizes)) != order[:12]


def test_rows_are_read_as_they_were_written(packed: Path, tmp_path: Path) -> None:
    packed_data = check_packed(locate(packed), tiny_recipe())
    assert packed_data.rows == {"train": 24, "validation": 5}
    rows = packed_data.open("train", tmp_path)
    assert rows is not None
    written = pq.read_table(packed / "data" / "packed" / "train-00000-of-00001.parquet")
    for column in ("input_ids", "lengths"):
        assert [row.tolist() for row in rows[:][column]] == written[column].to_pylist()


# ---- data that do not fit


def broken(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "broken"))


def relist(directory: Path) -> None:
    """Let the manifest list the files as they are now."""
    path = directory / "l2t_manifest.json"
    tree = json.loads(path.read_text())
    for shard in tree["shards"]:
        file = directory / shard["path"]
        shard.update(bytes=file.stat().st_size, sha256=sha256_of(file))
    tree["files"] = {name: sha256_of(directory / name) for name in tree["files"]}
    path.write_text(json.dumps(tree))


def problem(directory: Path | str, **keys: Any) -> str:
    with pytest.raises(UserError) as error:
        check_packed(locate(directory), tiny_recipe(**keys))
    return str(error.value)


def test_a_missing_directory(tmp_path: Path) -> None:
    assert "nowhere: no such file or directory" in problem(tmp_path / "nowhere")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "this is a file" in problem(tmp_path / "file")


def test_a_directory_without_a_manifest(tmp_path: Path) -> None:
    assert "l2t_manifest.json is missing" in problem(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_an_invalid_manifest(packed: Path, tmp_path: Path, content: str) -> None:
    directory = broken(packed, tmp_path)
    (directory / "l2t_manifest.json").write_text(content)
    assert "cannot be read as a manifest" in problem(directory)


def test_no_packed_view(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shutil.rmtree(directory / "data")
    message = problem(directory)
    assert "no packed view" in message
    assert "build.packed: true" in message


def test_no_tokenizer(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shutil.rmtree(directory / "tokenizer")
    assert "tokenizer.json is missing" in problem(directory)


def test_a_broken_tokenizer(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    (directory / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "the tokenizer cannot be loaded" in problem(directory)


def test_an_empty_training_split(tmp_path: Path) -> None:
    assert "the training split has no sequences" in problem(
        write_packed(tmp_path, {"train": 0, "validation": 2})
    )


def test_sequences_of_another_length(tmp_path: Path) -> None:
    directory = write_packed(tmp_path, {"train": 2}, length=32)
    with pytest.raises(UsageError, match=rf"is {LENGTH}, but the sequences of .* have 32 tokens") as error:
        check_packed(locate(directory), tiny_recipe())
    assert "--set packing.sequence_length=32" in str(error.value)


def test_ids_that_are_not_in_the_tokenizer(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    path = directory / "tokenizer" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] = {k: v for k, v in tokenizer["model"]["vocab"].items() if v < 280}
    tokenizer["model"]["merges"] = []
    path.write_text(json.dumps(tokenizer))
    assert "tokenizer.json: its SHA-256 is" in problem(directory)
    relist(directory)
    assert "which has 280 entries" in problem(directory)


@pytest.mark.parametrize("statistics", [False, True])
def test_an_id_that_is_not_in_the_tokenizer_is_found_in_our_own_shards(
    tmp_path: Path, statistics: bool
) -> None:
    """Our writer leaves statistics out; those of a stranger are not believed."""
    directory = make_dataset(release_recipe("ours"), tmp_path / "data")
    recipe = release_recipe("ours")
    assert check_packed(locate(directory), recipe).rows["train"]
    shard = next((directory / "data/packed").glob("train-*.parquet"))
    table = pq.read_table(shard)
    ids = table.column("input_ids").combine_chunks().flatten().to_numpy().copy()
    ids[-1] = 60_000
    column = pa.FixedSizeListArray.from_arrays(pa.array(ids), recipe.packing.sequence_length)
    table = table.set_column(table.schema.get_field_index("input_ids"), "input_ids", column)
    pq.write_table(table, shard, write_statistics=statistics)
    with pytest.raises(UserError, match="in the manifest"):
        check_packed(locate(directory), recipe)
    relist(directory)
    with pytest.raises(UserError, match="token id 60000 is not in the dataset's tokenizer, which has 400"):
        check_packed(locate(directory), recipe)


def test_a_shard_that_is_not_the_one_of_the_manifest(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shard = directory / "data" / "packed" / "validation-00000-of-00001.parquet"
    pq.write_table(pq.read_table(shard).slice(1), shard)
    message = problem(directory)
    assert shard.name in message
    assert "in the manifest" in message


def test_a_shard_cut_short(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shard = directory / "data" / "packed" / "train-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-50])
    message = problem(directory)
    assert shard.name in message
    assert "l2t verify" in message


def test_a_shard_of_another_kind(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shard = directory / "data" / "packed" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(shard).select(["lengths"]), shard)
    assert "column input_ids is missing" in problem(directory)


def test_a_shard_broken_inside(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    shard = directory / "data" / "packed" / "train-00000-of-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[20:400] = bytes(380)
    shard.write_bytes(content)
    assert "its SHA-256 is" in problem(directory)
    relist(directory)
    assert "cannot be read" in problem(directory)


def test_a_shard_that_breaks_while_it_is_copied(packed: Path, tmp_path: Path) -> None:
    directory = broken(packed, tmp_path)
    packed_data = check_packed(locate(directory), tiny_recipe())
    shard = directory / "data" / "packed" / "train-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(UserError, match="cannot be read into"):
        packed_data.open("train", tmp_path / "cache")


def test_no_validation_split_is_allowed(tmp_path: Path) -> None:
    packed_data = check_packed(locate(write_packed(tmp_path / "d", {"train": 3})), tiny_recipe())
    assert packed_data.open("validation", tmp_path / "cache") is None


# ---- a dataset on the Hub


def test_a_hub_dataset_is_downloaded_and_identified_by_its_commit(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: dict[str, Any] = {}

    def fetch(repo: str, kind: str, revision: str | None, **_: Any) -> Download:
        requested.update(repo=repo, kind=kind, revision=revision)
        return Download(packed, kind, repo, "a" * 40, 3)

    monkeypatch.setattr("l2t_hub.hub.download.download", fetch)
    dataset = locate("l2t-project/tiny@v2")
    assert (dataset.directory, dataset.repository, dataset.revision) == (packed, "l2t-project/tiny", "a" * 40)
    assert requested == {"repo": "l2t-project/tiny", "kind": "dataset", "revision": "v2"}
    assert check_packed(dataset, tiny_recipe()).rows["train"] == 24


def test_a_hub_dataset_that_cannot_be_downloaded() -> None:
    with pytest.raises(UserError, match="no-such-dataset-anywhere"):
        locate("l2t-project/no-such-dataset-anywhere")
