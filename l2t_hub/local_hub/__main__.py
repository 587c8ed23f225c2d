"""`python -m l2t_hub.local_hub DIR`: the child process behind `--hub local`, which ends with its parent."""

import os
import signal
import sys
import threading
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.local_hub.hub_process import last_port, serve_hub


def main() -> None:
    """Serve the folder given as the only argument until standard input closes: the parent process has ended."""

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        directory = Path(sys.argv[1])
        serve_hub(directory, last_port(directory, 0))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
