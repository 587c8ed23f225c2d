"""Multi-token prediction: what each head predicts, which heads are trained when, and that one head changes nothing."""

from fractions import Fraction
from math import floor
from typing import Any

import pytest
import torch
from tiny_run import LENGTH, mtp_recipe, tiny_recipe
from torch.nn.functional import cross_entropy
from transformers import Qwen2ForCausalLM

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, bundled_recipes, load_releases, recipe_from_tree
from l2t_hub.train.curriculum import active_heads, describe_objective, heads_in_phase
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.multi_token import MultiTokenObjective, labels_ahead
from l2t_hub.train.prediction_heads import PredictionHeads, add_prediction_heads

ROWS, KINDS = 3, ("layer", "linear")


def mtp_model(recipe: Recipe) -> tuple[Qwen2ForCausalLM, MultiTokenObjective | None]:
    """Return a training model of the recipe, and its objective."""
    model = new_model(model_config(recipe, 300), 5)
    heads = add_prediction_heads(model, recipe)
    objective = MultiTokenObjective(heads) if heads is not None else None
    use_sliced_loss(model, objective.loss if objective is not None else None)
    model.train()
    return model, objective


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Rows of two texts of 25 tokens and padding."""
    ids = torch.randint(0, 300, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, 50:] = IGNORED
    return {"input_ids": ids, "labels": labels}


def positions() -> torch.Tensor:
    parts = [torch.arange(25), torch.arange(25), torch.arange(LENGTH - 50)]
    return torch.cat(parts).expand(ROWS, -1)


@pytest.mark.parametrize("curriculum", ["none", "forward", "reverse"])
def test_active_heads_are_those_of_the_formulas(curriculum: str) -> None:
    for heads in range(1, 9):
        for phases in range(heads, 25):
            for phase in range(phases):
                share = floor(Fraction(phase) / (Fraction(phases) / heads))
                wanted = {
                    "none": heads,
                    "forward": min(heads, share + 1),
                    "reverse": max(1, heads - share),
                }
                assert heads_in_phase(curriculum, heads, phases, phase) == wanted[curriculum]


@pytest.mark.parametrize(
    ("curriculum", "phases", "wanted"),
    [
        ("none", None, [4] * 12),
        ("forward", None, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
        ("reverse", None, [4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1]),
        ("forward", 6, [1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4]),
        ("reverse", 6, [4, 4, 4, 4, 3, 3, 2, 2, 2, 2, 1, 1]),
    ],
)
def test_phases_are_equal_shares_of_the_steps(curriculum: str, phases: int | None, wanted: list[int]) -> None:
    keys = {} if phases is None else {"phases": phases}
    recipe = mtp_recipe(curriculum=curriculum, **keys)
    assert [active_heads(recipe, step) for step in range(12)] == wanted
    changes = [step for step in range(12) if step == 0 or wanted[step] != wanted[step - 1]]
    if curriculum != "none":
        assert describe_objective(recipe).endswith(", ".join(f"{wanted[s]} from step {s}" for s in changes))


def test_next_token_training_has_one_head_and_its_fingerprint_did_not_change() -> None:
    recipe = tiny_recipe()
    assert {active_heads(recipe, step) for step in range(12)} == {1}
    assert "objective" not in recipe.resolved()
    spelt_out = recipe_from_tree({**recipe.resolved(), "objective": {"kind": "next_token"}})
    assert spelt_out.fingerprint("model") == recipe.fingerprint("model")
    fingerprints = {mtp_recipe(heads=n, head=k).fingerprint("model") for n in (1, 2) for k in KINDS}
    assert len({recipe.fingerprint("model"), *fingerprints}) == 5
    assert {mtp_recipe(heads=n).fingerprint("data") for n in (1, 2)} == {recipe.fingerprint("data")}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "next_token", "heads": 2}, "`objective.heads` applies only to kind mtp"),
        ({"kind": "mtp", "phases": 8}, "`objective.phases` applies only to a forward or reverse curriculum"),
        ({"kind": "mtp", "curriculum": "forward", "phases": 3}, "must be at least `objective.heads` (4)"),
        ({"kind": "mtp", "heads": 17}, "objective.heads"),
        ({"kind": "mpt"}, "objective.kind"),
    ],
)
def test_a_wrong_objective_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe_from_tree({**tiny_recipe().resolved(), "objective": keys})
    assert message in refused.value.message


def test_the_recipes_train_raw_text_and_the_mixture_with_each_curriculum() -> None:
    found = {
        name: [(r.mixture.scheme, r.objective.kind, r.objective.curriculum) for r in load_releases(path)]
        for name, path in bundled_recipes().items()
        if name.startswith("mtp/")
    }
    every = [("next_token", "none"), ("mtp", "none"), ("mtp", "forward"), ("mtp", "reverse")]
    assert found == {
        "mtp/nano": [("disjoint", *kind) for kind in every],
        "mtp/nano-raw": [("raw", *kind) for kind in every],
        "mtp/l2t-500m-forward": [("disjoint", "mtp", "forward")],
        "mtp/raw-500m-forward": [("raw", "mtp", "forward")],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_one_head_is_next_token_training_to_the_bit(batch: dict[str, torch.Tensor], kind: str) -> None:
    plain = new_model(model_config(tiny_recipe(), 300), 5)
    use_sliced_loss(plain)
    plain.train()
    single, _ = mtp_model(mtp_recipe(heads=1, head=kind))
    # The first phase of a forward curriculum has the further heads, but trains only the first.
    waiting, objective = mtp_model(mtp_recipe(heads=4, head=kind, curriculum="forward"))
    assert objective is not None
    objective.heads.active = 1
    losses = [model(**batch)["loss"] for model in (plain, single, waiting)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == losses[1].item() == losses[2].item()
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        for other in (single, waiting):
            assert torch.equal(other.get_parameter(name).grad, parameter.grad), name
    assert all(parameter.grad is None for parameter in objective.heads.parameters())


def expected_losses(
    model: Qwen2ForCausalLM, heads: PredictionHeads, batch: dict[str, torch.Tensor], position_ids: Any
) -> list[torch.Tensor]:
    """Return the losses of each head, from states that transformers gives and targets found one by one."""
    given = model.model(
        batch["input_ids"], position_ids=position_ids, output_hidden_states=True, use_cache=False
    )
    place = torch.arange(LENGTH).expand(ROWS, -1) if position_ids is None else position_ids
    rotary = model.model.rotary_emb(given.last_hidden_state, place)
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril().expand(ROWS, 1, -1, -1)
    if position_ids is not None:
        text = (position_ids == 0).cumsum(1)
        mask = mask & (text[:, None, :, None] == text[:, None, None, :])
    losses = []
    for ahead in range(1, heads.count + 1):
        state = given.last_hidden_state
        if ahead > 1 and heads.kind == "linear":
            state = state @ heads.head(ahead).weight.T
        elif ahead > 1:
            below = given.hidden_states[-2]
            head: Any = heads.head(ahead)
            state = model.model.norm(head(below, attention_mask=mask, position_embeddings=rotary))
        logits = state @ model.lm_head.weight.T
        each = [
            cross_entropy(logits[row, t], batch["input_ids"][row, t + ahead])
            for row in range(ROWS)
            for t in range(LENGTH - ahead)
            if t + ahead < 50 and (position_ids is None or t // 25 == (t + ahead) // 25)
        ]
        losses.append(torch.stack(each))
    return losses


@pytest.mark.parametrize("attention", ["pack", "example"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_head_learns_the_token_that_it_predicts(
    batch: dict[str, torch.Tensor], kind: str, attention: str
) -> None:
    model, objective = mtp_model(mtp_recipe(heads=3, head=kind))
    assert objective is not None
    given, place = dict(batch), None
    if attention == "example":
        place = given["position_ids"] = positions()
        given["labels"] = torch.where(place == 0, IGNORED, given["labels"])
    loss = model(**given)["loss"]
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    wanted = expected_losses(model, objective.heads, batch, place)
    total = sum(losses.sum() for losses in wanted) / len(wanted[0])
    total.backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)
    record = objective.record(lambda values: values)
    assert record["head_losses"] == pytest.approx([losses.mean().item() for losses in wanted], rel=1e-5)
    assert record["loss"] == record["head_losses"][0]
    assert objective.sums(lambda values: values) == []


def test_a_prediction_stays_in_its_text_only_where_texts_do_not_see_each_other() -> None:
    ids = torch.arange(10, 18).unsqueeze(0)
    place = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    # Label i + 1 is what position i predicts: with 3 ahead, position 0 predicts token 3.
    assert labels_ahead(ids, None, 3).tolist() == [[12, 13, 14, 15, 16, 17, IGNORED, IGNORED]]
    own = labels_ahead(ids, place, 3).tolist()
    assert own == [[IGNORED, 13, IGNORED, IGNORED, IGNORED, 17, IGNORED, IGNORED]]
    assert labels_ahead(ids[:, :2], None, 9).tolist() == [[IGNORED, IGNORED]]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_same_with_recomputed_activations(
    batch: dict[str, torch.Tensor], kind: str
) -> None:
    gradients = []
    for recompute in (False, True):
        model, _ = mtp_model(mtp_recipe(heads=3, head=kind))
        if recompute:
            model.activation_checkpointing_enable()
        model(**batch)["loss"].backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_attend_as_the_model_does(batch: dict[str, torch.Tensor], kind: str) -> None:
    losses = []
    for implementation in ("sdpa", "eager"):
        model, objective = mtp_model(mtp_recipe(heads=3, head=kind))
        assert objective is not None
        model.set_attn_implementation(implementation)
        assert all(layer.self_attn.config is model.config for layer in objective.heads.layers())
        model(**batch, position_ids=positions())
        losses.append(objective.record(lambda values: values)["head_losses"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_first_head_is_validated(batch: dict[str, torch.Tensor], kind: str) -> None:
    plain = new_model(model_config(tiny_recipe(), 300), 5).eval()
    use_sliced_loss(plain)
    model, _ = mtp_model(mtp_recipe(heads=4, head=kind))
    model.eval()
    with torch.no_grad():
        assert model(**batch)["loss"].item() == plain(**batch)["loss"].item()


def test_initial_weights_of_a_head_depend_on_seed_and_number_alone() -> None:
    before = torch.random.get_rng_state()
    two, four = (mtp_model(mtp_recipe(heads=count))[1] for count in (2, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert two is not None
    assert four is not None
    for name, tensor in two.heads.state_dict().items():
        assert torch.equal(four.heads.state_dict()[name], tensor)
    first, second = (four.heads.head(n).get_parameter("mlp.up_proj.weight") for n in (2, 3))
    assert not torch.equal(first, second)
    assert first.std().item() == pytest.approx(0.02, rel=0.1)
