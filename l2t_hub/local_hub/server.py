"""Start and stop a local Hub, in a thread of this process (tests) or in the foreground.

    with running(directory) as hub:
        subprocess.run([...], env=hub.environment(home))       # any Hugging Face client, unmodified
        hub.faults.add("PUT", "/lfs/", Cut("during"))          # see faults.py

Clients read their endpoint when they are imported: start the Hub first, then run them in a child process.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
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
from l2t_hub.local_hub.hub_directory import TOKENS
from l2t_hub.local_hub.hub_request import ROOT, Hub, Limits
from l2t_hub.local_hub.storage import Store

DEFAULT_PORT = 8899
_START_SECONDS = 20.0


class LocalHub:
    """A local Hub over a directory, listening on loopback.

    `url` is the HF_ENDPOINT of clients. `keys.write`, `keys.read` and `keys.outsider` are tokens, `keys.mint` creates
    more. `faults` is the table of faults. After `stop` the directory can be served again with the same tokens.

    Raises UserError if the port is taken, or as `Store` and `Keyring` do.
    """

    def __init__(self, directory: Path, port: int = 0, limits: Limits | None = None) -> None:
        self.directory = directory
        self.faults = FaultTable()
        self._socket = _listen(port)
        try:
            self._store = Store(directory)
        except BaseException:
            self._socket.close()
            raise
        try:
            self.keys = Keyring(directory / TOKENS)
        except BaseException:
            self._close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{ROOT}"
        hub = Hub(self._store, History(self._store), self.keys, limits or Limits())
        self._server = _Server(
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
        """Serve from a thread of this process. Returns when the Hub accepts requests."""
        self._thread = threading.Thread(target=self._run, name="local-hub", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise UserError(f"the local Hub did not start on port {self.port}")
            time.sleep(0.01)
        return self

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _close(self) -> None:
        self._socket.close()
        self._store.close()

    def stop(self) -> None:
        """Stop serving. Requests in progress get three seconds."""
        self._server.should_exit = True
        if self._thread:
            self._thread.join()
        self._close()

    def serve(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Serve in the foreground until SIGINT or SIGTERM. `on_start` is called when the Hub accepts requests."""
        self._server.on_start = on_start
        try:
            self._run()
        finally:
            self._close()

    def environment(self, home: Path, *, token: str | None = None, xet: bool = True) -> dict[str, str]:
        """Return the environment of a child process whose Hugging Face clients reach this Hub and no other.

        `home` becomes its HF_HOME. Use one for each Hub, never that of the user: a Xet cache that remembers another
        Hub breaks uploads. The default token is the write token; '' means none. Without `xet`, uploads use plain LFS.

        `datasets.config.USE_PARQUET_EXPORT = False` has no variable: a child that loads datasets must set it.
        """
        base = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
        endpoint = Endpoint(self.url, home=home, token=self.keys.write if token is None else token)
        return endpoint.environment(base) | ({} if xet else {"HF_HUB_DISABLE_XET": "1"})


@contextmanager
def running(directory: Path, port: int = 0, limits: Limits | None = None) -> Iterator[LocalHub]:
    """Serve a local Hub in a thread of this process for the length of a block. Port 0 means any free port."""
    hub = LocalHub(directory, port, limits).start()
    try:
        yield hub
    finally:
        hub.stop()


class _Server(uvicorn.Server):
    on_start: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_start()


class _Protocol(H11Protocol):
    """Uvicorn's HTTP/1.1 in pure Python, whose connections `faults` can cut. It logs no URLs with their queries."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.access_log = False


def _listen(port: int) -> socket.socket:
    # asyncio turns off Nagle's delay (40 ms for each answer) only if the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()  # takes the port: two sockets may be bound to one
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(
            f"port {port} cannot be used: {error}", "Choose another with --port, or 0 for any free one."
        ) from error
    return listener
