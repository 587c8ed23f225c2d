"""ReCoRD: prompts and choices as lm-eval has them, and the scores of SQuAD's script."""

import pytest

from l2t_hub.evaluate.record_task import choices, exact, f1, gold, prepared, prompt, results

DOCUMENT = {
    "passage": "Puerto Rico voted on Sunday.\n@highlight\nIt is a U.S. territory\n@highlight\nThe vote is not binding",
    "query": "The vote in @placeholder is not binding.",
    "entities": ["US", "Puerto Rico", "US", "Congress"],
    "answers": ["Puerto Rico", "the  Puerto Rico"],
}


class Rows(list[dict[str, object]]):
    def map(self, change: object) -> "Rows":
        return Rows([row | change(row) for row in self])  # type: ignore[operator]


def test_a_document_as_lm_eval_asks_it() -> None:
    (document,) = prepared(Rows([DOCUMENT]))
    assert document["entities"] == ["Congress", "Puerto Rico", "US"]
    assert prompt(document) == (
        "Puerto Rico voted on Sunday.\n\n  - It is a U.S. territory.\n  - The vote is not binding.\n"
    )
    assert choices(document)[1] == "  - The vote in Puerto Rico is not binding."
    assert gold(document) == 1
    assert gold(document | {"answers": ["elsewhere"]}) == 0
    assert results(document, [(-3.0, False), (-1.0, False), (-2.0, False)]) == {"acc": 1.0, "f1": 1.0}
    assert results(document, [(-1.0, False), (-3.0, False), (-2.0, False)]) == {"acc": 0.0, "f1": 0.0}


@pytest.mark.parametrize(
    ("prediction", "answers", "same", "overlap"),
    [
        ("The U.S.", ["US"], 1, 1),  # case, article and punctuation do not count
        ("Puerto Rico", ["Rico", "Puerto"], 0, 2 / 3),
        ("a b c", ["b c d", "x"], 0, 2 * 2 / 5),  # the article is gone: b c against b c d
        ("Anna", ["Ben"], 0, 0),
        ("the", ["a"], 1, 1),  # nothing is left of either
        ("the", ["Ben"], 0, 0),
    ],
)
def test_exact_match_and_f1_are_those_of_squads_script(
    prediction: str, answers: list[str], same: float, overlap: float
) -> None:
    assert exact(prediction, answers) == same
    assert f1(prediction, answers) == pytest.approx(overlap)
