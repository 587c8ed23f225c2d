"""Errors as huggingface_hub raises them."""

import httpx2
from huggingface_hub.errors import HfHubHTTPError


def http_error(status: int, message: str | None = None, retry_after: str | None = None) -> HfHubHTTPError:
    """Return the error for a response with this status, message and Retry-After."""
    request = httpx2.Request("GET", "https://hub.example.org/api/models/org/toy?token=hf_secretsecret")
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    response = httpx2.Response(status, headers=headers, request=request)
    return HfHubHTTPError(f"{status} Error", response=response, server_message=message)
