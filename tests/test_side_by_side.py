"""Processes side by side: their places, logs and failures, and what a stopped program leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l2t_hub.errors import UserError
from l2t_hub.side_by_side import Job, Status, run_side_by_side


def write_place(out: Path) -> None:
    print(f"writing {out}")
    out.write_text(os.environ["PLACE"], encoding="utf-8")


def refuse(out: Path) -> None:
    raise UserError(f"{out}: no", "Do something else.")


def divide(out: Path) -> None:
    print(1 / 0)


def end_at_once(out: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_stopped(out: Path) -> None:
    """Save when stopped, as training does."""
    try:
        out.write_text("started", encoding="utf-8")
        time.sleep(60)
    except KeyboardInterrupt:
        out.write_text("saved", encoding="utf-8")
        raise


def run(folder: Path, *functions: object, places: int = 2) -> list[Status]:
    seen: list[Status] = []
    jobs = [
        Job(f"job-{i}", function, folder / f"{i}.txt", folder / "logs" / f"{i}.log")  # type: ignore[arg-type]
        for i, function in enumerate(functions)
    ]
    run_side_by_side(jobs, [{"PLACE": str(i)} for i in range(places)], seen.append, lambda times: 0.05)
    return seen


def test_jobs_run_in_their_places_and_what_they_print_is_in_their_logs(tmp_path: Path) -> None:
    seen = run(tmp_path, *[write_place] * 3)
    assert {(tmp_path / f"{i}.txt").read_text(encoding="utf-8") for i in range(3)} == {"0", "1"}
    assert (tmp_path / "logs" / "2.log").read_text(encoding="utf-8") == f"writing {tmp_path / '2.txt'}\n"
    ended = [status.just_ended for status in seen if status.just_ended]
    assert sorted(ended) == ["job-0", "job-1", "job-2"]
    assert any(len(status.running) == 2 for status in seen)
    assert set(seen[-1].finished) == set(ended)


def test_a_failed_job_does_not_stop_the_others_and_is_named_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(tmp_path, refuse, write_place, divide, end_at_once, places=1)
    assert caught.value.message == f"3 of 4 runs failed. job-0: {tmp_path / '0.txt'}: no"
    assert str(tmp_path / "logs" / "0.log") in (caught.value.hint or "")
    assert (tmp_path / "1.txt").is_file()
    assert "ZeroDivisionError" in (tmp_path / "logs" / "2.log").read_text(encoding="utf-8")
    assert "Do something else." in (tmp_path / "logs" / "0.log").read_text(encoding="utf-8")


STOPPED = """
from pathlib import Path
from l2t_hub.interruption import catch_signals
if __name__ == "__main__":
    catch_signals()
    from test_side_by_side import run, work_until_stopped
    run(Path({folder!r}), work_until_stopped, work_until_stopped)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_jobs_save_their_work_when_the_program_is_stopped_or_killed(tmp_path: Path, number: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(STOPPED.format(folder=str(tmp_path)), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, str(program)], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    saved = [tmp_path / "0.txt", tmp_path / "1.txt"]
    wait_for(lambda: all(path.is_file() and path.read_text(encoding="utf-8") for path in saved))
    process.send_signal(number)
    assert process.wait(timeout=60) != 0
    wait_for(lambda: {path.read_text(encoding="utf-8") for path in saved} == {"saved"})


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
