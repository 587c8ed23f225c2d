"""How a command is stopped: a signal raises KeyboardInterrupt, which ends in one sentence and an exit code.

The exit code is 128 plus the number of the signal, as in a shell: 130 after Ctrl-C, 143 after SIGTERM.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from l2t_hub.errors import Interrupted

IMPORT_POLL = 0.05
"""Seconds after which a signal that came during an import is sent again."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # Slurm can announce the end of a job by the last

# Signals arrive at the process, so there is one such list in it, and one of those that raised SignalReceived.
_received: list[int] = []
_raised: list[int] = []


def catch_signals() -> None:
    """Let the stopping signals raise KeyboardInterrupt, but those that this process was started to ignore.

    Only a program calls this, and in its main thread; a library leaves signals alone.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raise_interrupt)


class SignalReceived(KeyboardInterrupt):
    """A signal arrived. (If KeyboardInterrupt itself leaves the `exec` of a dataclass, Python ends with SIGINT.)"""


def raise_interrupt(number: int, frame: FrameType | None = None) -> None:
    """Handle a signal: remember it, and raise SignalReceived, after the import that it may have interrupted.

    While torch is imported, its C++ code cannot pass an exception on: it would abort the process.
    """
    remember(number)
    if _is_importing(frame):
        # To the main thread, so that it also ends what this thread waits for.
        again = threading.Timer(IMPORT_POLL, signal.pthread_kill, [threading.main_thread().ident, number])
        again.daemon = True
        again.start()
        return
    _raised.append(number)
    raise SignalReceived


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def remember(number: int) -> None:
    """Remember which signal stops this process. The last one counts."""
    _received.append(number)


def is_interruption(error: BaseException) -> bool:
    """Whether a signal ended the work: an interrupt, or the error that a library made of it.

    pydantic, for one, turns an interrupt in the middle of its schemas into a SchemaError.
    """
    return isinstance(error, KeyboardInterrupt) or (bool(_raised) and isinstance(error, Exception))


@contextmanager
def interruptible(explain: Callable[[], tuple[str, str]]) -> Iterator[None]:
    """Explain an interruption of a block: `explain` returns what is kept and how to go on. Raises Interrupted."""
    try:
        yield
    except BaseException as error:
        if not is_interruption(error):
            raise
        _raised.clear()
        raise Interrupted(*explain()) from None


def is_main_process() -> bool:
    """Whether this process speaks and writes files: the only one, or the first that `torchrun` started."""
    return int(os.environ.get("RANK", "0")) == 0


def end_interrupted(stop: BaseException) -> NoReturn:
    """Say what stopped the command, what is kept and how to go on, and exit. Later signals change nothing."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    received = _received[-1] if _received else signal.SIGINT
    by = "Ctrl-C" if received == signal.SIGINT else signal.Signals(received).name
    kept = str(stop) if isinstance(stop, Interrupted) else "rerun the command to start again."
    if is_main_process():
        from l2t_hub.console import as_typed  # imports rich, which takes a while

        with suppress(OSError):  # a terminal that is gone
            after_echo = "\n" if sys.stderr.isatty() else ""  # a terminal shows ^C on the line
            print(f"{after_echo}stopped by {by}: {as_typed(kept)}", file=sys.stderr, flush=True)
    sys.exit(128 + received)
