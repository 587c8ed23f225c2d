"""Starting and stopping the embedded Hub: as a thread of this process (tests, `l2t run`) or in the foreground.

    with running(directory) as hub:
        subprocess.run([...], env=hub.environment(home))       # any Hugging Face client, unmodified
        hub.faults.add("PUT", "/lfs/", Cut("during"))          # see faults.py

Clients read their endpoint when they are imported: start the Hub first, then run them in a child process.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.local_hub.application import application
from l2t_hub.local_hub.auth import Keyring
from l2t_hub.local_hub.faults import FaultTable
from l2t_hub.local_hub.history import History
from l2t_hub.local_hub.hub_request import ROOT, Hub, Limits
from l2t_hub.local_hub.storage import Store

DEFAULT_PORT = 8899
_START_SECONDS = 20.0


class LocalHub:
    """One embedded Hub over a folder, listening on loopback.

    `url` is a client's HF_ENDPOINT; `keys.write`, `keys.read` and `keys.outsider` are tokens and `keys.mint` makes
    more; `faults` is the table of faults. `stop` ends it; the folder can then be served again, by the same tokens.

    Raises `UserError` if the port is taken, or another Hub serves the folder.
    """

    def __init__(self, directory: Path, port: int = 0, limits: Limits | None = None) -> None:
        self.directory = directory
        self.faults = FaultTable()
        self._socket = _listen(port)
        try:
            self._store = Store(directory)
        except UserError:
            self._socket.close()
            raise
        self.keys = Keyring(directory / "tokens.json")
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{ROOT}"
        hub = Hub(self._store, History(self._store), self.keys, limits or Limits())
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(hub, self.faults),
                loop="asyncio",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=3,
            )
        )
        self._thread: threading.Thread | None = None

    def start(self) -> "LocalHub":
        """Serve from a thread of this process; returns once requests are answered."""
        self._thread = threading.Thread(target=self._run, name="rehearsal-hub", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise UserError(f"the embedded Hub did not start on port {self.port}")
            time.sleep(0.01)
        return self

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End it: requests in flight get three seconds."""
        self._server.should_exit = True
        if self._thread:
            self._thread.join()
        self._socket.close()
        self._store.close()

    def serve(self) -> None:
        """Serve in the foreground, until SIGINT or SIGTERM."""
        try:
            self._run()
        finally:
            self._socket.close()
            self._store.close()

    def environment(self, home: Path, *, token: str | None = None, xet: bool = True) -> dict[str, str]:
        """The whole environment of a child process whose Hugging Face clients talk to this Hub and to nothing else.

        `home` becomes its HF_HOME: one per Hub, never the user's own (a Xet cache that remembers another Hub breaks
        uploads). Without `token` it is the write token; `''` stands for none. Without `xet` uploads are plain LFS.

        `datasets.config.USE_PARQUET_EXPORT = False` has no variable: a child that loads datasets sets it itself.
        """
        base = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
        place = Endpoint(self.url, home=home, token=self.keys.write if token is None else token)
        return place.environment(base) | ({} if xet else {"HF_HUB_DISABLE_XET": "1"})


@contextmanager
def running(directory: Path, port: int = 0, limits: Limits | None = None) -> Iterator[LocalHub]:
    """An embedded Hub for the length of a block, in a thread of this process; port 0 is any free one."""
    hub = LocalHub(directory, port, limits).start()
    try:
        yield hub
    finally:
        hub.stop()


class _Protocol(H11Protocol):
    """Uvicorn's HTTP/1.1 in Python, whose connections `faults` can cut; without its log of URLs and their queries."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.access_log = False


def _listen(port: int) -> socket.socket:
    # The protocol must be named: asyncio turns off Nagle's delay (40 ms an answer) only where it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(
            f"port {port} cannot be used: {error}", "choose another with --port, or 0 for any"
        ) from error
    return listener
