"""The contract with datasets and pandas: push, load by name and configuration, stream, read hf:// paths."""

from pathlib import Path

from rows import main, raises, row

REPO = "org/corpus"
CARD = """---
license: cc0-1.0
language: en
size_categories: [n<1K]
configs:
- config_name: typo
  default: true
  data_files:
  - split: train
    path: data/examples/typo/*.parquet
- config_name: packed
  data_files:
  - split: train
    path: data/packed/train-*.parquet
  - split: validation
    path: data/packed/validation-*.parquet
---
# A corpus
"""


def _datasets():
    import datasets

    datasets.config.USE_PARQUET_EXPORT = False  # it would ask another host
    return datasets


def _release() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from huggingface_hub import HfApi

    for path, columns in (
        (
            "data/examples/typo/train-00000-of-00002.parquet",
            {"prompt": [f"p{n}" for n in range(50)], "n": list(range(50))},
        ),
        ("data/examples/typo/train-00001-of-00002.parquet", {"prompt": ["q"], "n": [50]}),
        ("data/packed/train-00000-of-00001.parquet", {"input_ids": [[n, n + 1] for n in range(2_000)]}),
        ("data/packed/validation-00000-of-00001.parquet", {"input_ids": [[7, 7]]}),
    ):
        file = Path("corpus") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), file)
    Path("corpus/README.md").write_text(CARD)
    Path("corpus/l2t_manifest.json").write_text("{}")
    api = HfApi()
    api.create_repo(REPO, repo_type="dataset")
    api.upload_folder(repo_id=REPO, repo_type="dataset", folder_path="corpus", commit_message="release")
    api.create_tag(REPO, tag="v1", repo_type="dataset")


@row("load_dataset reads a configuration by name and its default")
def _():
    _release()
    load = _datasets().load_dataset
    assert load(REPO, "typo")["train"]["n"][:] == list(range(51))
    assert load(REPO)["train"].column_names == ["prompt", "n"]
    assert load(REPO, "packed", split="validation")[0] == {"input_ids": [7, 7]}
    raises(ValueError, lambda: load(REPO, "nope"))


@row("load_dataset takes a revision: a tag and a commit")
def _():
    from huggingface_hub import HfApi

    load = _datasets().load_dataset
    commit = HfApi().dataset_info(REPO).sha
    HfApi().delete_file("data/examples/typo/train-00001-of-00002.parquet", REPO, repo_type="dataset")
    assert load(REPO, "typo", revision="v1", split="train").num_rows == 51
    assert load(REPO, "typo", revision=commit, split="train").num_rows == 51
    assert load(REPO, "typo", split="train").num_rows == 50


@row("load_dataset streams")
def _():
    rows = _datasets().load_dataset(REPO, "packed", streaming=True, split="train")
    assert [r["input_ids"][0] for r in rows.skip(1_990)] == list(range(1_990, 2_000))


@row("get_dataset_config_names and get_dataset_split_names")
def _():
    datasets = _datasets()
    assert datasets.get_dataset_config_names(REPO) == ["typo", "packed"]
    assert datasets.get_dataset_split_names(REPO, "packed") == ["train", "validation"]


@row("push_to_hub, twice, with two configurations")
def _():
    datasets = _datasets()
    one = datasets.Dataset.from_dict({"text": ["a", "b"]})
    one.push_to_hub("org/pushed", "first", set_default=True)
    one.map(lambda r: {"text": r["text"] * 2}).push_to_hub("org/pushed", "second", private=False)
    assert datasets.load_dataset("org/pushed", "second", split="train")["text"][:] == ["aa", "bb"]
    assert datasets.load_dataset("org/pushed", split="train")["text"][:] == ["a", "b"]


@row("pandas reads and globs hf:// paths")
def _():
    import pandas

    frame = pandas.read_parquet(f"hf://datasets/{REPO}@v1/data/examples/typo/train-00000-of-00002.parquet")
    assert frame["n"].sum() == sum(range(50))
    assert pandas.read_parquet(f"hf://datasets/{REPO}@v1/data/examples/typo")["n"].sum() == sum(range(51))


@row("pyarrow reads a column of a file through fsspec")
def _():
    import pyarrow.parquet as pq
    from huggingface_hub import HfFileSystem

    path = f"datasets/{REPO}/data/packed/train-00000-of-00001.parquet"
    assert pq.read_table(path, columns=["input_ids"], filesystem=HfFileSystem()).num_rows == 2_000


if __name__ == "__main__":
    main()
