"""The recipes of the paper against the figures of docs/method.md: all 25 models, and what the base says."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

import pytest

from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe
from l2t_hub.train.architecture import architecture
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.cost import hours_text, training_cost

PAPER = {
    "blocks": {"sentences": "blingfire", "tokens_per_block": 512, "min_words": 20},
    "mixture": {"scheme": "disjoint", "raw_share": 0.5, "unit": "documents", "tasks": None},
    "tokenizer": {"name": "mistralai/Mistral-7B-Instruct-v0.3", "bos": True, "eos": False},
    "packing": {"sequence_length": 2048, "scheme": "paper"},
    "validation": {"share": 0.1, "files": ["train-0000[0-5]-*"], "near_duplicates": "keep"},
    "source": {
        "dataset": "HuggingFaceTB/smollm-corpus", "config": "fineweb-edu-dedup", "split": "train",
        "token_count_column": "metadata.token_count", "license": "odc-by",
    },
    "train": {
        "max_steps": 200_000, "batch_size": 256, "learning_rate": 3e-4, "lr_scheduler_type": "cosine", "warmup_steps": 2000,
        "weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.999, "max_grad_norm": 1.0, "precision": "bf16",
        "gradient_checkpointing": True, "loss_on_padding": True, "attention": "pack",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """A row of the table of sizes; `billions` of parameters with their decimals as published."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    billions: str


SIZES = {
    "500m": Size(24, 1024, 24, 2, 42, 4864, "0.45"),
    "1b": Size(30, 1728, 32, 4, 54, 4752, "1.0"),
}
# Number of GPUs, sequences per GPU, batches that are accumulated.
LAYOUTS = {"500m": (2, 128, 1), "1b": (4, 32, 2), "single": (2, 64, 2)}
SAVED_EVERY = {"500m": 10_000, "1b": 5_000}
DISJOINT, SHARED, SINGLE = 23, 8, 6  # shards of the source, from the first on
TASKS = (
    "char_count", "masked_char", "space", "typo", "last", "masked_word", "random", "shuffle", "token_type",
    "deletion", "reordering", "fill_middle", "half", "one",
)  # fmt: skip
# Model -> size, scheme with its raw share or its task, shards, layout, steps.
MODELS = {
    **{f"l2t-{s}-disjoint": (s, "disjoint", 0.5, DISJOINT, s, 200_000) for s in SIZES},
    **{f"raw-{s}-disjoint": (s, "raw", None, DISJOINT, s, 200_000) for s in SIZES},
    **{f"l2t-{s}-shared": (s, "shared", None, SHARED, s, 200_000) for s in SIZES},
    **{f"raw-{s}-shared": (s, "raw", None, SHARED, s, 200_000) for s in SIZES},
    **{
        f"l2t-500m-disjoint-mix_{p}": ("500m", "disjoint", p / 100, DISJOINT, "500m", 200_000)
        for p in (0, 25, 75)
    },
    **{f"l2t-500m-{task}": ("500m", "single", task, SINGLE, "single", 50_000) for task in TASKS},
}
FILES = [f"fineweb-edu-dedup/train-{n:05d}-of-00234.parquet" for n in range(234)]
FILES_PER_SHARD = len(FILES) / 40


def files(globs: tuple[str, ...] | None) -> list[int]:
    """The numbers of the files that globs choose."""
    return [n for n, file in enumerate(FILES) for glob in globs or () if PurePosixPath(file).match(glob)]


@cache
def paper(name: str) -> Recipe:
    return load_recipe(f"paper/{name}")


@cache
def parameters_in_transformers(size: str) -> int:
    import torch
    from transformers import Qwen2ForCausalLM

    from l2t_hub.train.model import model_config

    with torch.device("meta"):
        model = Qwen2ForCausalLM(model_config(paper(f"l2t-{size}-disjoint"), 32_768))
    return sum(parameter.numel() for parameter in model.parameters())


def test_there_are_25_models_and_the_bases_that_they_extend() -> None:
    names = {name.removeprefix("paper/") for name in bundled_recipes() if name.startswith("paper/")}
    assert len(MODELS) == 25
    assert names - set(MODELS) == {"base", "base-1b", "base-shared", "base-single"}
    assert set(MODELS) <= names


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_that_of_the_table(name: str) -> None:
    size, scheme, share_or_task, shards, layout, steps = MODELS[name]
    recipe = paper(name)
    assert (recipe.name, recipe.model.size, recipe.seed) == (name, size, 42)

    shape, expected = architecture(recipe), SIZES[size]
    assert shape.num_hidden_layers == expected.layers
    assert (shape.hidden_size, shape.intermediate_size) == (expected.hidden, expected.mlp)
    assert (shape.num_attention_heads, shape.num_key_value_heads) == (expected.heads, expected.kv_heads)
    assert shape.head_dim == expected.head_dim == expected.hidden // expected.heads
    decimals = len(expected.billions.partition(".")[2])
    assert f"{parameters_in_transformers(size) / 1e9:.{decimals}f}" == expected.billions

    batches = divide_batch(recipe, devices=LAYOUTS[layout][0])
    assert (batches.devices, batches.per_device, batches.accumulation) == LAYOUTS[layout]
    assert (batches.sequences, batches.tokens_per_step) == (256, 256 * 2048)
    assert (recipe.train.max_steps, batches.steps) == (200_000, steps)
    assert recipe.train.save_steps == SAVED_EVERY[size]

    assert recipe.mixture.scheme == scheme
    if scheme == "disjoint":
        assert (recipe.mixture.raw_share, recipe.mixture.unit) == (share_or_task, "documents")
    assert recipe.mixture.task == (share_or_task if scheme == "single" else None)
    assert recipe.mixture.tasks is None

    assert files(recipe.source.data_files) == list(range(round(shards * FILES_PER_SHARD)))
    assert files(recipe.validation.files) == list(range(round(FILES_PER_SHARD)))
    assert recipe.build.partitions == 16 * shards


@pytest.mark.parametrize("name", MODELS)
def test_a_model_differs_from_the_base_only_where_the_table_does(name: str) -> None:
    """What the table does not name is the same for all: the figures of `PAPER`, and everything else of the base."""
    differing = {
        "source": {"data_files"},
        "mixture": {"scheme", "raw_share", "unit", "task"},
        "tokenizer": {"eos"},  # which does not apply to raw text
        "build": {"partitions"},
        "model": {"size"},
        "train": {"per_device_train_batch_size", "save_steps", "stop_after_steps"},
    }
    mine, base = (load.resolved() for load in (paper(name), paper("base")))
    for section in base.keys() - {"name", "description"}:
        if isinstance(base[section], dict):
            for tree in (mine, base):
                tree[section] = {
                    k: v for k, v in tree[section].items() if k not in differing.get(section, ())
                }
        assert mine[section] == base[section], section


def test_the_readme_has_what_each_model_costs() -> None:
    """GPU-hours as `l2t recipes list` estimates them; the dataset from shards of 5.5B tokens."""
    page = (bundled_recipes()["paper/base"].parent / "README.md").read_text(encoding="utf-8")
    shown = {
        name: [cell.strip() for cell in cells.split("|")[:5]]
        for names, cells in re.findall(r"^\| (`[lr].*?) \| (\d.*) \|$", page, re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", names)
    }
    assert set(shown) == set(MODELS)
    for name, (_, scheme, share, shards, layout, _) in MODELS.items():
        cost = training_cost(paper(name), 32_768)
        raw = {"raw": 1.0, "disjoint": share, "single": 0.0, "shared": None}[scheme]
        per_text = 1 + 1.63 if raw is None else raw + (1 - raw) * 1.63
        assert shown[name] == [
            str(LAYOUTS[layout][0]),
            f"{float(f'{cost.tokens / 1e9:.3g}'):g}B",
            hours_text(cost.gpu_hours),
            f"0-{shards - 1}",
            f"{shards * 5.5 * per_text * 1.36:.0f} GB",
        ], name


@pytest.mark.parametrize("section", PAPER)
def test_the_base_recipe_has_the_papers_values(section: str) -> None:
    resolved = paper("base").resolved()
    assert {key: resolved[section][key] for key in PAPER[section]} == PAPER[section]
    assert resolved["seed"] == 42


def test_a_recipe_in_a_folder_is_found_by_its_name() -> None:
    assert {"nano", "paper/base"} <= set(bundled_recipes())
    assert load_recipe("paper/base.yaml").name == load_recipe("paper/base").name == "paper"


def test_nano_ends_examples_with_eos_and_the_paper_does_not() -> None:
    assert load_recipe("nano", variant="nano-l2t").tokenizer.eos
    assert not paper("base").tokenizer.eos
