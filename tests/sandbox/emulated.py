"""Calls to the emulated service, as a client would make them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import requests

from ap_connectors.sandbox.process import SandboxCompany

DECODER = msgspec.json.Decoder(float_hook=Decimal)
EARLY = "2000-01-01T00:00:00.000Z"


def call(sandbox: SandboxCompany, method: str, path: str, **more: Any) -> requests.Response:
    """A call with the right key; `path` is below /ivesk/api."""
    return requests.request(
        method, sandbox.ivesk_url + path, headers={"x-api-key": sandbox.api_key}, timeout=10, **more
    )


def page(sandbox: SandboxCompany, queue: str = "exported", since: str | None = None, **query: Any) -> dict[str, Any]:
    params = query if since is None else {"from": since, **query}
    response = call(sandbox, "GET", f"/pub/{queue}", params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = DECODER.decode(response.content)
    return answer


def pages(sandbox: SandboxCompany, queue: str = "exported", since: str | None = None, **query: Any) -> Iterator[Any]:
    """The service's own paging, as its description tells to do it."""
    for _ in range(200):
        answer = page(sandbox, queue, since, **query)
        yield answer
        if "next" not in answer:
            return
        since = answer["next"]
    raise AssertionError("paging does not end")


def ids(pages: Iterator[Any]) -> list[str]:
    return [document["id"] for answer in pages for document in answer["documents"]]


def held(sandbox: SandboxCompany, queue: str = "exported") -> list[str]:
    return [document["id"] for document in sandbox.control.documents(queue)]
