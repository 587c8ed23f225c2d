"""All checkpoints of a run or a repo as models, and what each is compared with."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from record_trees import training_tree
from tiny_models import make_tiny_model

from l2t_hub.errors import UserError
from l2t_hub.evaluate import evaluate
from l2t_hub.evaluate.run_checkpoints import expanded
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.train.architecture import architecture


def make_run(folder: Path, seed: int, *steps: int) -> Path:
    for step in steps:
        make_tiny_model(folder / "checkpoints" / f"checkpoint-{step}", seed=seed + step)
    (folder / "checkpoints" / ".partial").mkdir()
    return folder


def test_checkpoints_of_a_run_are_compared_with_the_same_step_of_the_first_run(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "raw", 0, 10, 2), make_run(tmp_path / "l2t", 50, 2, 10, 20)
    tree = training_tree()
    (first / "training.json").write_text(json.dumps(tree))
    sources = expanded([str(first), str(second)])
    assert [(source.run, source.step) for source in sources] == [
        *((str(first), step) for step in (2, 10)),
        *((str(second), step) for step in (2, 10, 20)),
    ]
    evaluation = evaluate(sources, "probes", limit=1, device="cpu")
    assert [model.step for model in evaluation.models] == [2, 10, 2, 10, 20]
    recipe = tree["recipe"]
    per_step = recipe["train"]["batch_size"] * recipe["packing"]["sequence_length"]
    assert [model.tokens for model in evaluation.models] == [2 * per_step, 10 * per_step, None, None, None]
    resolved = recipe_from_tree(recipe)
    each = pytest.approx(architecture(resolved).flops_per_token(384, resolved.packing.sequence_length))
    assert [model.flops_per_token for model in evaluation.models] == [each, each, None, None, None]
    assert [(c.model, c.baseline) for c in evaluation.comparisons] == [
        ("l2t/checkpoints/checkpoint-2", "raw/checkpoints/checkpoint-2"),
        ("l2t/checkpoints/checkpoint-10", "raw/checkpoints/checkpoint-10"),
    ]


def test_checkpoints_of_a_repo_are_its_branches_and_tags_named_step(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    names = {"branches": ("main", "checkpoints", "step-9"), "tags": ("step-100", "step-9", "v1", "step-1x")}

    def refs(self: object, repo: str) -> SimpleNamespace:
        assert repo == "org/model"
        return SimpleNamespace(**{k: [SimpleNamespace(name=name) for name in v] for k, v in names.items()})

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_refs", refs)
    found = expanded(["org/model"])
    assert [(source.name, source.revision, source.step) for source in found] == [
        ("org/model@step-9", "step-9", 9),
        ("org/model@step-100", "step-100", 100),
    ]
    names.update(branches=("main",), tags=())
    with pytest.raises(UserError, match="none of its branches and tags is named step-N"):
        expanded(["org/model"])
    with pytest.raises(UserError, match="one revision has no checkpoints"):
        expanded(["org/model@step-9"])


def test_a_run_without_checkpoints_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoints"):
        expanded([str(make_tiny_model(tmp_path / "model"))])
