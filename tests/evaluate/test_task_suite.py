"""The suite `tasks`: the fourteen tasks on a user's text, answered and scored."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_models import make_tiny_model

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import evaluate, read_evaluation
from l2t_hub.evaluate.several import evaluate_suites
from l2t_hub.evaluate.suites import get_suites
from l2t_hub.evaluate.task_examples import MAX_SIDE_CHARACTERS, TaskExample, read_examples
from l2t_hub.evaluate.task_suite import (
    TaskText,
    _answers,
    _samples,
    edit_distance,
    encode_examples,
    prepare_tasks,
    similarity,
)
from l2t_hub.report.score_sheets import sheets_of
from l2t_hub.report.sheet import Figure
from l2t_hub.scoring import load_scorer, score
from l2t_hub.tasks.registry import tasks_for

SENTENCES = (
    "The old cat sat near the river {n} times.",
    "The children were tired that evening, and one of them slept.",
    "Was the river {n} feet deep when the cat sat there?",
    "Nobody knew the way to the old house by the river.",
    "The evening was long, and the children sat near the fire.",
    "They said that the house was old when they were children.",
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "held-out.jsonl"
    rows = [{"text": " ".join(SENTENCES).format(n=n)} for n in range(3, 7)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_every_task_is_scored_on_the_same_examples_and_kept(text: Path, tmp_path: Path) -> None:
    models = [
        str(make_tiny_model(tmp_path / name, seed=seed, positions=1024))
        for seed, name in ((1, "a"), (2, "b"), (3, "bad"))
    ]
    (tmp_path / "bad" / "tokenizer.json").write_text("{}")
    out = tmp_path / "scores.json"
    evaluation = evaluate(models, "tasks", out, text=str(text), limit=1, device="cpu")
    assert read_evaluation(out) == evaluation
    for model in evaluation.models:
        assert [row.phenomenon for row in model.phenomena] == sorted(tasks_for())
        assert {row.total for row in model.phenomena} == {1}
        figures = {(m.name, m.cell): m for m in model.measures}
        # A random model of 384 tokens is near the loss of a uniform one, ln 384 = 5.95, and above it.
        assert 5 < figures["loss (nats per token)", "all"].value < 40
        assert 0 <= figures["edit similarity", "typo"].value < 0.9
        assert ("edit similarity", "last") not in figures
    (comparison,) = evaluation.comparisons
    assert [m.examples for m in comparison.measures if m.name.startswith("loss")] == [len(tasks_for())]
    assert list(evaluation.failed) == ["bad"]
    assert "cannot load this model" in evaluation.failed["bad"]
    lines: list[str] = []
    again = evaluate(models, "tasks", out, text=str(text), limit=1, device="cpu", progress=lines.append)
    assert [model.measures for model in again.models] == [model.measures for model in evaluation.models]
    assert len(list((tmp_path / ".tasks").iterdir())) == 2 * len(tasks_for())
    assert (evaluation.protocol.harness, evaluation.protocol.harness_version) == ("l2t_hub", "1.1")
    (measured,) = [table for table in sheets_of(evaluation) if table.header[0] == "measure"]
    assert "loss (nats per token), all" in [row[0] for row in measured.rows]
    shown = measured.rows[0][2]
    assert isinstance(shown, Figure)
    assert shown.main() == f"{evaluation.models[0].measures[0].value:.3f}"


def test_loss_is_that_of_the_completion_and_answers_end_at_eos_or_their_bound(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load_scorer(str(make_tiny_model(tmp_path / "model", positions=1024)), device="cpu")
    example = TaskExample("typo", "1", "The old czt sat.\n\nAnswer:", " ", "The old cat sat.")
    ((prompt, completion),) = encode_examples(scorer.tokenizer, [example])
    assert scorer.tokenizer.decode(prompt) == example.prompt
    assert scorer.tokenizer.decode(completion) == " The old cat sat."
    whole, alone = score(scorer, [example.prompt + " The old cat sat.", example.prompt])
    (sample,) = _samples(scorer, "m", [example], [(prompt, completion)], None)
    loss = -(whole.log_probability - alone.log_probability) / len(completion)
    assert sample.measures["loss (nats per token)"] == pytest.approx(loss, abs=1e-3)

    eos, right = scorer.tokenizer.eos_token_id, completion
    wanted = [[*right, eos, *right], right * 9]

    def generate(input_ids: Any, **_: Any) -> Any:
        import torch

        width = max(map(len, wanted))
        rows = [row + [eos] * (width - len(row)) for row in wanted]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    monkeypatch.setattr(scorer.model, "generate", generate)
    answered, bounded = _answers(scorer, [(prompt, right), (prompt, right)])
    assert answered == "The old cat sat."
    assert bounded.startswith("The old cat sat. The")
    assert len(bounded) < 3 * len(answered)


def test_greedy_answers_do_not_depend_on_the_batch(text: Path, tmp_path: Path) -> None:
    scorer = load_scorer(str(make_tiny_model(tmp_path / "model", positions=1024)), device="cpu")
    examples = read_examples(str(text), 2)
    encoded = encode_examples(
        scorer.tokenizer, [examples[name][0] for name in ("typo", "char_count", "half")]
    )
    together = _answers(scorer, encoded)
    assert len(set(together)) == 3
    # A model that asks for a penalty is answered greedily all the same; each prompt has a batch of its own.
    scorer.model.generation_config.repetition_penalty = 5.0
    assert _answers(scorer, encoded, batch_tokens=1) == together


def test_examples_are_those_of_a_build_and_always_the_same(text: Path) -> None:
    one, other = read_examples(str(text), 3), read_examples(str(text), 3)
    assert one == other
    assert list(one) == list(tasks_for())
    example = one["char_count"][0]
    assert example.completion.isdigit()
    for example in one["masked_char"]:
        assert example.completion.startswith("The old cat sat near the river")


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("kitten", "sitting", 3),
        ("abc", "", 3),
        ("", "ab", 2),
        ("flaw", "lawn", 2),
        ("same", "same", 0),
    ],
)
def test_edit_distance(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == distance
    longest = max(len(one), len(other), 1)
    assert similarity(one, other) == pytest.approx(1 - distance / longest)


def test_partners_are_drawn_by_address_among_the_documents_of_the_text(tmp_path: Path) -> None:
    """In a sorted text the next document is too much like the one before it (docs/method.md)."""
    sentences = (
        "In {n} the house was old.",
        "Nobody of {n} sat near the river.",
        "Was {n} cold that evening?",
    )
    rows = [" ".join(sentences * 4).format(n=f"n{n:02}") for n in range(40)]
    file = tmp_path / "sorted.jsonl"
    file.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    examples = read_examples(str(file), 40)["deletion"]
    assert len(examples) == 40
    partners = []
    for number, example in enumerate(examples):
        named = {int(name) for name in re.findall(r"\bn(\d\d)\b", example.prompt)}
        (partner,) = named - {number}
        partners.append(partner)
    next_ones = sum(partner == (number + 1) % 40 for number, partner in enumerate(partners))
    assert next_ones < 5
    assert len(set(partners)) > 15


def test_models_are_asked_what_was_tokenized_when_the_examples_were_chosen(
    text: Path, tmp_path: Path
) -> None:
    directory = make_tiny_model(tmp_path / "model", positions=1024)
    scorer = load_scorer(str(directory), device="cpu")
    tasks = prepare_tasks(TaskText(str(text)), [scorer.source], 2)
    (tokens,) = tasks.tokens.values()
    for name, examples in tasks.examples.items():
        for example, (prompt, completion) in zip(examples, tokens[name], strict=True):
            ids = scorer.tokenizer(example.text, add_special_tokens=False)["input_ids"]
            assert [*prompt, *completion] == ids


def test_text_that_gives_no_examples_or_too_long_ones_is_refused(text: Path, tmp_path: Path) -> None:
    model = str(make_tiny_model(tmp_path / "model"))
    with pytest.raises(UsageError, match="needs text that the models were not trained on"):
        evaluate([model], "tasks", device="cpu")
    with pytest.raises(UsageError, match="no such file or folder"):
        evaluate([model], "tasks", device="cpu", text=str(tmp_path / "nowhere.txt"))
    with pytest.raises(UserError, match="are longer than 128 tokens"):
        evaluate([model], "tasks", device="cpu", text=str(text))
    short = tmp_path / "short.txt"
    short.write_text("One cat.")
    with pytest.raises(UserError, match="no example of"):
        evaluate([model], "tasks", device="cpu", text=str(short))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "One cat."}\n{"text": ')
    with pytest.raises(UserError, match=r"--text: .*broken.jsonl"):
        evaluate([model], "tasks", device="cpu", text=str(broken))
    with pytest.raises(UsageError, match="needs text"):
        evaluate_suites([model], get_suites("probes,tasks"), tmp_path / "scores")
    with pytest.raises(UsageError, match="--text is for the suite tasks"):
        evaluate_suites([model], get_suites("probes"), tmp_path / "scores", text=str(text))


def test_a_hostile_text_is_bounded(tmp_path: Path) -> None:
    good = " ".join(SENTENCES).format(n=3)
    rows = [{"text": f"{good} Ends.</s> {'and ' * 9_000}"}, {"text": "x" * 10**6}, {"text": f"{good} End."}]
    file = tmp_path / "hostile.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *[{"text": "never read"}] * 3_000]))
    found = read_examples(str(file), 100)
    assert set(found) == set(tasks_for())
    whole = [example for examples in found.values() for example in examples]
    assert (
        max(len(example.prompt) + len(example.completion) for example in whole)
        <= 2 * MAX_SIDE_CHARACTERS + 10
    )


def test_a_text_that_lacks_a_task_is_an_error_unless_the_rest_is_enough(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    """Each document has one sentence, which is too little for some tasks."""
    rows = [{"text": " ".join(f"word{n}" for n in range(30)) + f" number {i}."} for i in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = make_tiny_model(tmp_path / "model", positions=1024)
    source = load_scorer(str(model), device="cpu").source
    with pytest.raises(UserError, match=r"no example of .*reordering"):
        prepare_tasks(TaskText(str(tmp_path / "t.jsonl")), [source], 2)
    tasks = prepare_tasks(TaskText(str(tmp_path / "t.jsonl"), 128, partial=True), [source], 2)
    assert {"half", "typo"} <= tasks.examples.keys()
    assert "reordering" in tasks.missing
    assert tasks.left_out[f"tasks without an example: {', '.join(tasks.missing)}"] == len(tasks.missing)
