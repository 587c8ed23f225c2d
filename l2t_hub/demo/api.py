"""The functions of the tabs as a typed API, for Python and other clients, and as tools for language models (MCP)."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from pydantic import ValidationError, validate_call

from l2t_hub.demo.tab import Tab
from l2t_hub.errors import UserError


def add_functions(tabs: Iterable[Tab]) -> None:
    """Offer each function of the tabs under its own name on the page that is being built.

    Gradio reads types and descriptions from signature and docstring, for the API and for MCP.
    """
    for tab in tabs:
        for function in tab.functions:
            gr.api(in_words(function), api_name=function.__name__, **tab.event)


def in_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that checks its arguments, whose errors are sentences and whose result is plain JSON.

    Gradio passes on what a client sends, whatever the types of the function say.
    """
    checked = validate_call(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            text = json.dumps(_plain(checked(*arguments, **named)), ensure_ascii=False, allow_nan=False)
        except ValidationError as error:
            raise gr.Error(_wrong_argument(function, error), print_exception=False) from None
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return text if _is_tool() else json.loads(text)

    return call


def _is_tool() -> bool:
    """Whether this call came through MCP, where Gradio would write an object as Python does, not as JSON."""
    headers = getattr(LocalContext.request.get(None), "headers", None) or {}
    return dict(headers).get("x-gradio-user") == "mcp"


def _wrong_argument(function: Callable[..., Any], error: ValidationError) -> str:
    """Say which argument does not fit. What was sent is not repeated: it may be long."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    names = list(function.__annotations__)
    where = [
        names[part] if i == 0 and isinstance(part, int) else str(part) for i, part in enumerate(first["loc"])
    ]
    return f"{function.__name__}: {'.'.join(where)}: {first['msg']}"


def _plain(value: Any) -> Any:
    return (
        dataclasses.asdict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
        else value
    )
