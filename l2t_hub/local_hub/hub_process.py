"""The local Hub as a process: `l2t hub serve` in the foreground, and the child process of `--hub local`."""

import json
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from l2t_hub.hub.endpoint import SERVING
from l2t_hub.local_hub.hub_directory import LOG, PORT, TOKENS, read_small, write_private
from l2t_hub.local_hub.server import DEFAULT_PORT, LocalHub


def serve_hub(directory: Path, port: int | None = None, program: str = "l2t") -> None:
    """Serve the local Hub over `directory` until a signal raises KeyboardInterrupt (`l2t hub serve`).

    Port None means the port of last time, so that links in published cards stay valid, or else the default port. When
    the Hub accepts requests, its address is printed and written to `serving.json`, where `--hub local:DIR` finds it.
    `program` is the command in what is printed.

    Raises UserError as `LocalHub` does.
    """
    hub = LocalHub(directory, last_port(directory, DEFAULT_PORT) if port is None else port)
    _serve(hub, program)


def serve_as_child(directory: Path) -> None:
    """Serve the local Hub with its output in `hub.log` of `directory`, on the port of last time or any free one."""
    hub = LocalHub(directory, last_port(directory, 0))
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    os.close(log)
    # uvicorn stops on SIGTERM and then raises the signal again: as an interrupt, so that the cleanup still runs.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _serve(hub)


def _serve(hub: LocalHub, program: str = "l2t") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("l2t_hub.local_hub")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    serving = hub.directory / SERVING
    address = json.dumps({"url": hub.url, "pid": os.getpid()})

    def announce() -> None:
        write_private(hub.directory / PORT, str(hub.port))
        write_private(serving, address)
        print(
            f"This is a rehearsal Hub, not huggingface.co: {hub.url}/\n"
            f"Its directory: {hub.directory}; its tokens: {hub.directory / TOKENS}\n"
            f"Use it: {program} release DIR --repo ORG/NAME --hub local:{hub.directory}\n"
            f"Any other client: HF_ENDPOINT={hub.url} HF_HOME=<an empty directory> "
            f"HF_TOKEN=<'write' in tokens.json>",
            flush=True,
        )

    try:
        hub.serve(announce)
    finally:
        with suppress(OSError):
            if read_small(serving) == address:  # not that of a Hub that has started since
                serving.unlink()


def last_port(directory: Path, default: int) -> int:
    """Return the port that the directory was last served on if it is free, else `default`."""
    try:
        port = int(read_small(directory / PORT)[:8])
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, ValueError, OverflowError):
        return default
    return port
