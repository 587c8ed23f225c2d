"""The base recipe of the paper says what the paper's data and training were (docs/method.md)."""

import pytest

from l2t_hub.recipe import bundled_recipes, load_recipe
from l2t_hub.recipe.listing import listing

PAPER = {
    "blocks": {"sentences": "blingfire", "tokens_per_block": 512, "min_words": 20},
    "mixture": {"scheme": "disjoint", "raw_share": 0.5, "unit": "documents", "tasks": None},
    "tokenizer": {"name": "mistralai/Mistral-7B-Instruct-v0.3", "bos": True, "eos": False},
    "packing": {"sequence_length": 2048, "scheme": "paper"},
    "validation": {"share": 0.1, "files": ["train-0000[0-5]-*"], "near_duplicates": "keep"},
    "source": {"token_count_column": "metadata.token_count", "license": "odc-by"},
    "train": {
        "max_steps": 200_000, "batch_size": 256, "learning_rate": 3e-4, "lr_scheduler_type": "cosine", "warmup_steps": 2000,
        "weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.999, "max_grad_norm": 1.0, "precision": "bf16",
        "gradient_checkpointing": True, "loss_on_padding": True, "attention": "pack",
    },
}  # fmt: skip


@pytest.mark.parametrize("section", PAPER)
def test_the_base_recipe_has_the_papers_values(section: str) -> None:
    resolved = load_recipe("paper/base").resolved()
    assert {key: resolved[section][key] for key in PAPER[section]} == PAPER[section]
    assert resolved["seed"] == 42


def test_a_recipe_in_a_folder_is_found_by_its_name() -> None:
    assert {"nano", "paper/base"} <= set(bundled_recipes())
    assert load_recipe("paper/base.yaml").name == load_recipe("paper/base").name == "paper"
    assert "paper/base" in [row["name"] for row in listing()]


def test_nano_ends_examples_with_eos_and_the_paper_does_not() -> None:
    assert load_recipe("nano", variant="nano-l2t").tokenizer.eos
    assert not load_recipe("paper/base").tokenizer.eos
