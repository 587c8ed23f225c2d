"""The tokenizer of a build: trained on the training split only, saved with the dataset, refused if unusable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, build_silently, recipe_of

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
