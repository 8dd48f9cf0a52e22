"""How the service answers: JSON with exact decimals, and refusals as `{"code": ..., "message": ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

ENCODER = msgspec.json.Encoder(decimal_format="number")


class Refusal(Exception):
    """The service says no: a status, and what is wrong in words."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def answer(self) -> Response:
        """Write the refusal as the service does; messages are 255 characters at most."""
        body = ENCODER.encode({"code": self.status, "message": self.message[:255]})
        return Response(body, self.status, self.headers, "application/json")


def json_answer(body: bytes, status: int = 200) -> Response:
    """Answer with JSON that is already encoded."""
    return Response(body, status, media_type="application/json")


def value_answer(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return json_answer(ENCODER.encode(value), status)
