"""Calls to the page's server as anybody can send them, past the browser and Gradio's client."""

import json
import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Certificates of the machine are not needed for 127.0.0.1, and take longer to read than most calls."""


@dataclass(frozen=True)
class Function:
    """A function of the page's server: its number, the ids of the components it reads and writes, what starts it."""

    number: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    starts: tuple[tuple[int, str], ...]
    api_name: str


@dataclass(frozen=True)
class Answer:
    """What the server answered: whether the function ended well, its outputs or error, and all that was sent."""

    success: bool
    output: Mapping[str, Any]
    text: str


def page_functions(address: str) -> tuple[dict[str, Any], list[Function]]:
    """Give the page's configuration, and its functions that run on the server."""
    config = httpx.get(f"{address}config", timeout=30).json()
    functions = [
        Function(
            row["id"],
            tuple(row["inputs"]),
            tuple(row["outputs"]),
            tuple((target[0], target[1]) for target in row["targets"]),
            str(row.get("api_name") or ""),
        )
        for row in config["dependencies"]
        if row["backend_fn"]
    ]
    return config, functions


def call(
    address: str, number: int, data: Sequence[Any], *, session: str = "", trigger: int | None = None
) -> Answer:
    """Call a function by its number, as a visitor of its own unless `session` names one."""
    session = session or secrets.token_hex(8)
    body = {"data": list(data), "fn_index": number, "session_hash": session, "trigger_id": trigger}
    with httpx.Client(base_url=address, timeout=60, verify=NO_TLS) as client:
        joined = client.post(
            "gradio_api/queue/join", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        if joined.status_code != 200:
            return Answer(False, {"error": joined.text}, joined.text)
        event, seen = joined.json()["event_id"], []
        with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                if not line.startswith("data:"):
                    continue
                seen.append(line)
                message = json.loads(line[5:])
                if message["msg"] == "process_completed" and message["event_id"] == event:
                    return Answer(message["success"], message["output"], "\n".join(seen))
                if message["msg"] in ("unexpected_error", "server_stopped"):
                    return Answer(False, message, "\n".join(seen))
    raise AssertionError(f"the server sent no answer: {seen}")
