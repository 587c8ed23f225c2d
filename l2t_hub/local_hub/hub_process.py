"""Serving the local Hub as a program of its own: `l2t hub serve`, and the child process that `--hub local` starts."""

import json
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from l2t_hub.hub.endpoint import SERVING
from l2t_hub.local_hub.server import DEFAULT_PORT, LocalHub

PORT = "port"


def serve_hub(directory: Path, port: int | None = None) -> None:
    """Serve the embedded Hub over `directory` until SIGINT or SIGTERM (`l2t hub serve`).

    Port None is the folder's own of last time, so that links in published cards go on leading here, or the usual one.

    Prints where it is and writes `serving.json` beside its data, so that `--hub local:DIR` finds it.
    """
    hub = LocalHub(directory, last_port(directory, DEFAULT_PORT) if port is None else port)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("l2t_hub.local_hub")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    (directory / PORT).write_text(str(hub.port), encoding="utf-8")
    note = directory / SERVING
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps({"url": hub.url, "pid": os.getpid()}), encoding="utf-8")
    partial.replace(note)
    print(
        f"A rehearsal Hub, not huggingface.co: {hub.url}/\n"
        f"Its folder: {directory}; its tokens: {directory / 'tokens.json'}\n"
        f"Use it: l2t release DIR --repo ORG/NAME --hub local:{directory}\n"
        f"Any other client: HF_ENDPOINT={hub.url} HF_HOME=<an empty folder> HF_TOKEN=<'write' of tokens.json>",
        flush=True,
    )
    # uvicorn ends well on SIGTERM and then raises it again: as an interrupt, so that what follows is still done.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            hub.serve()
    finally:
        note.unlink(missing_ok=True)


def last_port(directory: Path, otherwise: int) -> int:
    """The port that the folder was last served on, if it is free."""
    try:
        port = int((directory / PORT).read_text(encoding="utf-8"))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, ValueError, OverflowError):
        return otherwise
    return port
