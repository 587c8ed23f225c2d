"""The lines of a training log that a stranger published."""

from pathlib import Path

import pytest

from l2t_hub.errors import UserError
from l2t_hub.train.training_log import read_log

GOOD = '{"step": 0, "eval_loss": 6.2, "tokens": 0, "seconds": 0.0}\n'


def test_a_last_line_that_a_crash_cut_short_is_ignored(tmp_path: Path) -> None:
    log = tmp_path / "train_log.jsonl"
    for end in ("", '{"step": 1, "lo', '{"step": 1, "tokens": 4, "seconds": 1.0}'):
        log.write_text(GOOD + end)
        assert read_log(log) == [{"step": 0, "eval_loss": 6.2, "tokens": 0, "seconds": 0.0}]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{",
        "{}",
        '{"step": 1}',
        '{"step": 1, "loss": NaN, "tokens": 1, "seconds": 1}',
        '{"step": 1, "loss": Infinity, "tokens": 1, "seconds": 1}',
        '{"step": 1, "loss": 1e999, "tokens": 1, "seconds": 1}',
        '{"step": 1, "loss": "6", "tokens": 1, "seconds": 1}',
        '{"step": 1000000000000, "tokens": 1, "seconds": 1}',
        '{"step": -1, "tokens": 1, "seconds": 1}',
        '{"step": 1, "tokens": 1, "seconds": 1, "evil": 1}',
        '{"step": 1, "step": 2, "tokens": 1, "seconds": 1}',
    ],
)
def test_any_other_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    log = tmp_path / "train_log.jsonl"
    log.write_text(f"{GOOD}{line}\n{GOOD}")
    with pytest.raises(UserError, match=r"train_log\.jsonl, line 2: "):
        read_log(log)


def test_a_missing_log_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_log(tmp_path / "train_log.jsonl")
