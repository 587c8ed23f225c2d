"""`python -m l2t_hub.local_hub DIR`: the child process of `--hub local`, which ends together with its parent."""

import os
import signal
import sys
import threading
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.local_hub.hub_process import serve_as_child


def main() -> None:
    """Serve the directory in the only argument until standard input closes, which means that the parent ended."""

    def end_with_parent() -> None:
        while os.read(0, 4096):  # not through sys.stdin, whose lock would abort an exit
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        serve_as_child(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
