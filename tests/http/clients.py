"""Clients of the sandbox that have little patience, for the tests of the client."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import requests

from ap_connectors.core.errors import ApError
from ap_connectors.core.raw_json import Record, decode
from ap_connectors.http.rate_limit import RateLimit
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess

QUICK = RetryPolicy(tries=3, first_pause=0.02, longest_pause=0.05, longest_asked=2)
ANSWER = msgspec.json.Decoder(Record)


def ignore(_: requests.Response) -> None:
    """Take any answer."""


class Refused(ApError):
    """What `explain` makes of a final answer here."""


def make_client(sandbox: SandboxProcess, retry_policy: RetryPolicy = QUICK, timeout: float = 5) -> HttpClient:
    return HttpClient(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        headers={"x-api-key": sandbox.api_key},
        secrets=[sandbox.api_key],
        timeout=timeout,
        retry_policy=retry_policy,
    )


def ask_through(client: HttpClient, sandbox: SandboxProcess) -> Record:
    url = f"{sandbox.ivesk_url}/pub/exported"
    return client.fetch("GET", url, lambda response: decode(response.content, ANSWER), what="GET /pub/exported")


def tries(sandbox: SandboxProcess) -> int:
    return len(sandbox.control.calls())


class Passes:
    """Credentials that count: `pass1`, and another one after each refusal."""

    def __init__(self) -> None:
        self.number = 1
        self.refusals: list[str | None] = []

    def headers(self) -> Mapping[str, str]:
        return {"x-api-key": f"pass{self.number}"}

    def invalidate(self, sent: Mapping[str, str]) -> None:
        self.refusals.append(sent.get("x-api-key"))
        self.number += 1


def client_with(passes: Passes, retry_policy: RetryPolicy = QUICK, limit: RateLimit | None = None) -> HttpClient:
    return HttpClient(
        "here",
        explain=lambda response, what: Refused(f"{what}: {response.status_code}"),
        retry_policy=retry_policy,
        credentials=passes,
        limit=limit,
    )
