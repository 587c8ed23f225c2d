"""The tokenizer of a build: trained on the training split only, saved with the dataset, refused if unusable."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, build_silently, recipe_of

from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError
from l2t_hub.tokens.load import load_tokenizer


def test_a_trained_tokenizer_sees_only_training_documents_and_is_saved_in_the_dataset(
    tmp_path: Path, make_recipe: RecipeFactory
) -> None:
    keys = {"tokenizer.name": None, "tokenizer.vocab_size": 600}
    manifest = build_silently(make_recipe(keys), tmp_path / "a")
    assert manifest.tokenizer.trained
    assert manifest.tokenizer.vocab_size == 600
    tokenizer = load_tokenizer(str(tmp_path / "a" / "tokenizer"))
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (
        manifest.tokenizer.bos_id,
        manifest.tokenizer.eos_id,
    )
    again = build_silently(make_recipe({**keys, "validation.share": 0.4}), tmp_path / "b")
    assert again.tokenizer.sha256 != manifest.tokenizer.sha256


def test_a_tokenizer_without_bos_is_refused_where_the_recipe_wants_one(
    make_recipe: RecipeFactory, tmp_path: Path, tokenizer: Path
) -> None:
    lone = tmp_path / "lone.json"
    lone.write_bytes((tokenizer / "tokenizer.json").read_bytes())
    with pytest.raises(UsageError, match="no BOS token"):
        build_silently(make_recipe({"tokenizer.name": str(lone)}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_build_with_a_local_tokenizer_needs_no_torch(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Importing it takes longer than building a million words."""
    code = (
        "import json, sys; from pathlib import Path; from l2t_hub.dataset.build import build;"
        "from l2t_hub.dataset.progress import SilentReporter; from l2t_hub.recipe import recipe_from_tree;"
        "build(recipe_from_tree(json.loads(sys.argv[1])), Path(sys.argv[2]), workers=1, progress=SilentReporter());"
        "print({'torch', 'datasets'} & sys.modules.keys())"
    )
    tree = json.dumps(recipe_of(corpus, tokenizer, {"source.limit": 10}).resolved())
    command = [sys.executable, "-c", code, tree, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


def test_eos_ends_every_example_and_no_raw_document(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    keys = {"source.limit": 40, "validation.near_duplicates": "keep"}
    manifests = {
        eos: build_silently(make_recipe({**keys, "tokenizer.eos": eos}), tmp_path / f"{eos}")
        for eos in (False, True)
    }
    assert verify(tmp_path / "True").problems == [], "the ledger adds up"
    eos_id = manifests[True].tokenizer.eos_id
    kinds = Counter[str]()
    for path in (tmp_path / "True" / "data" / "packed").glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            texts = np.split(np.array(row["input_ids"]), np.cumsum(row["lengths"]))[:-1]
            kinds[row["kind"]] += len(texts)
            for text in texts:
                assert (text == eos_id).sum() == (row["kind"] == "task")
                assert row["kind"] == "raw" or text[-1] == eos_id
    assert set(kinds) == {"raw", "task"}
    tokens = {
        eos: {
            (row["document_id"], row["block"]): row["tokens"]
            for path in (tmp_path / f"{eos}" / "data" / "examples").rglob("*.parquet")
            for row in pq.read_table(path).to_pylist()
        }
        for eos in (False, True)
    }
    assert tokens[True] == {key: count + 1 for key, count in tokens[False].items()}
    assert manifests[True].fingerprint != manifests[False].fingerprint
    assert make_recipe({"mixture.scheme": "raw"}).fingerprint("data") == make_recipe(
        {"mixture.scheme": "raw", "tokenizer.eos": True}
    ).fingerprint("data"), "without examples the key does not apply"


def test_a_tokenizer_without_eos_is_refused_where_the_recipe_wants_one(
    make_recipe: RecipeFactory, tmp_path: Path, tokenizer: Path
) -> None:
    without = shutil.copytree(tokenizer, tmp_path / "without")
    config = json.loads((without / "tokenizer_config.json").read_text())
    config["pad_token"] = config.pop("eos_token")
    (without / "tokenizer_config.json").write_text(json.dumps(config))
    (without / "special_tokens_map.json").unlink(missing_ok=True)
    recipe = make_recipe({"tokenizer.name": str(without), "tokenizer.eos": True})
    with pytest.raises(
        UsageError, match="no EOS token, but the recipe puts one after every example"
    ) as error:
        build_silently(recipe, tmp_path / "out")
    assert "tokenizer.eos=false" in (error.value.hint or "")
