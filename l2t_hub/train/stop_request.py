"""A signal that asks a run to stop: it saves a checkpoint at the end of its step, and ends.

Slurm sends SIGTERM, or SIGUSR1 with `--signal`, before it takes a node away; a person presses Ctrl-C.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from l2t_hub.interruption import STOPPING, is_main_process, raise_interrupt, remember


class StopRequest:
    """A context that turns the stopping signals into `asked`. A further Ctrl-C stops at once.

    Outside the main thread, where Python receives no signals, it changes nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise_interrupt(number)
        remember(number)
        if not self.asked and is_main_process():
            by, again = signal.Signals(number).name, ""
            if number == signal.SIGINT:
                by, again = "Ctrl-C", "; press it again to stop at once"
            # Not print, which the signal may have interrupted.
            os.write(2, f"\n{by}: saving at the end of this step{again}\n".encode())
        self.asked = True
