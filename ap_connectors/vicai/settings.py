"""The settings that every plugin for Vic.ai has, as JSON Schema, and the client that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ap_connectors.core.errors import Stop
from ap_connectors.http import rate_limit
from ap_connectors.http.concurrency import MOST
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.transport import REGIONS

CONNECTION: Mapping[str, Any] = {
    "client_id": {
        "type": ["string"],
        "title": "Client id",
        "description": "Client id of the company's integration; Vic.ai gives it out on request.",
    },
    "client_secret": {
        "type": ["string"],
        "title": "Client secret",
        "description": "The secret that belongs to client_id.",
        "secret": True,
        "writeOnly": True,
    },
    "region": {
        "type": ["string", "null"],
        "title": "Region",
        "description": "Where the company is: us or no. Needed unless api_url is set.",
        "enum": list(REGIONS),
    },
    "api_url": {
        "type": ["string", "null"],
        "title": "API address",
        "description": "Address of the API, for staging or the sandbox; wins over region. Ends in /v0.",
        "examples": ["https://api.us.stage.vic.ai/v0", "http://127.0.0.1:8722/vicai/v0"],
    },
    "allow_http": {
        "type": ["boolean", "null"],
        "title": "Allow http",
        "default": False,
        "description": "Send credentials, and follow signed links, over http also to another machine than this one.",
    },
}
"""Who and where; the first two are required."""

REQUIRED = ["client_id", "client_secret"]


def connected(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plugin's settings schema with those of the connection before its own."""
    required = [*REQUIRED, *schema.get("required", ())]
    return {**schema, "properties": {**CONNECTION, **schema["properties"]}, "required": required}


def at_once(settings: Mapping[str, Any], most: int = MOST) -> int:
    """Return how many requests there may be at once; where that is `auto`, `most`, for the client sees to it."""
    number = settings.get("max_concurrency")
    return number if isinstance(number, int) else most


def address(settings: Mapping[str, Any]) -> str:
    """Return where the service is.

    Raises:
        Stop: the settings do not say it.
    """
    api_url = settings.get("api_url") or REGIONS.get(settings.get("region") or "")
    if not api_url:
        raise Stop("region is missing: set it to us or no, where the company is, or set api_url.")
    return str(api_url).rstrip("/")


def client(settings: Mapping[str, Any], *, timeout: float, user_agent: str) -> VicaiClient:
    """Return the client that the settings describe (`rate_limit`, `max_concurrency` and `request_id` among them).

    Raises:
        Stop: they cannot be right.
    """
    api_url = address(settings)
    rate = {"requests": 500, "seconds": 10} | (settings.get("rate_limit") or {})
    shared = rate_limit.shared_window(settings["client_id"], urlsplit(api_url).netloc)
    adapts = not isinstance(settings.get("max_concurrency"), int)
    return VicaiClient(
        settings["client_id"],
        settings["client_secret"],
        api_url,
        timeout=timeout,
        user_agent=user_agent,
        connections=at_once(settings),
        limit=RateLimit(rate["requests"], rate["seconds"], adapts=adapts, shared=shared),
        request_id=settings.get("request_id"),
        allow_http=bool(settings.get("allow_http")),
    )
