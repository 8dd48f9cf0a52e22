"""The settings that every plugin for Įvesk has, as JSON Schema, and the client that they make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ap_connectors.ivesk.client import DEFAULT_URL, IveskClient

CONNECTION: Mapping[str, Any] = {
    "api_key": {
        "type": ["string"],
        "title": "API key",
        "description": "Key to the API; made at https://app.ivesk.lt/settings/apikey.",
        "secret": True,
        "writeOnly": True,
    },
    "api_url": {
        "type": ["string", "null"],
        "title": "API address",
        "default": DEFAULT_URL,
        "description": "Address of the API; change it for staging or the sandbox.",
        "examples": ["https://stagingapp.ivesk.lt/api", "http://127.0.0.1:8722/ivesk/api"],
    },
    "allow_http": {
        "type": ["boolean", "null"],
        "title": "Allow http",
        "default": False,
        "description": "Send credentials, and follow signed links, over http also to another machine than this one.",
    },
}
"""Who and where; the first is required."""

REQUIRED = ["api_key"]


def connected(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plugin's settings schema with those of the connection before its own."""
    required = [*REQUIRED, *schema.get("required", ())]
    return {**schema, "properties": {**CONNECTION, **schema["properties"]}, "required": required}


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return what tells an api_key from another, and does not show it (16 hex digits)."""
    return hashlib.sha256(settings["api_key"].strip().encode()).hexdigest()[:16]


def client(settings: Mapping[str, Any], *, timeout: float, user_agent: str) -> IveskClient:
    """Return the client that the settings describe (`max_concurrency` among them).

    Raises:
        Stop: they cannot be right.
    """
    return IveskClient(
        settings["api_key"],
        settings.get("api_url") or DEFAULT_URL,
        timeout=timeout,
        user_agent=user_agent,
        connections=settings.get("max_concurrency") or 8,
        allow_http=bool(settings.get("allow_http")),
    )
