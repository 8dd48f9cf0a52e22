"""Calls to the emulated Vic.ai as a client would make them; every answer is held against the contract."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jsonschema
import msgspec
import requests
from jsonschema.protocols import Validator

from ap_connectors.sandbox.control_client import VicaiControl
from ap_connectors.sandbox.process import SandboxCompany
from ap_connectors.vicai import contract
from ap_connectors.vicai.contract import Age

DECODER = msgspec.json.Decoder(float_hook=Decimal)
ENCODER = msgspec.json.Encoder(decimal_format="number")
PDF = b"%PDF-1.7 not really\n%%EOF"


class Vic:
    """A client of the emulated service; `token` goes along with every call."""

    def __init__(self, sandbox: SandboxCompany, age: Age = contract.LIVE) -> None:
        self.sandbox, self.url, self.age = sandbox, sandbox.vicai_url, age
        self.control: VicaiControl = sandbox.control.vicai
        self.token = ""
        self.called: set[str] = set()
        self._session = requests.Session()
        self._session.trust_env = False

    def login(self) -> None:
        credentials = {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        self.token = self.ask("POST", "/token", json=credentials).json()["access_token"]

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Make a call; `body` goes as JSON, decimals exact."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if body is not None:
            headers["Content-Type"] = "application/json"
            more["data"] = ENCODER.encode(body)
        more = {"allow_redirects": False, "timeout": 20, **more}
        root = self.url.removesuffix("/v0") if path.startswith("/v2/") else self.url
        return self._session.request(method, root + path, headers=headers, **more)

    def call(self, name: str, *ids: str, body: Any = None, **more: Any) -> Any:
        """Call an operation that succeeds, and hold its answer against the contract."""
        operation = contract.operation(name, self.age)
        answer = self.ask(operation.method, filled(operation.path, ids), body, **more)
        assert str(answer.status_code) in operation.answers, (name, answer.status_code, answer.text)
        assert answer.status_code < 300, (name, answer.text)
        assert answer.headers["x-request-id"]
        self.called.add(name)
        media = answer.headers.get("content-type", "")
        if answer.status_code == 204:
            assert answer.content == b""
            return None
        if media != "application/json":
            assert media in operation.answers[str(answer.status_code)]
            return answer.content
        value = DECODER.decode(answer.content)
        hold(name, str(answer.status_code), value, self.age)
        return value

    def refused(self, name: str, *ids: str, status: int, body: Any = None, **more: Any) -> str:
        """Call an operation that refuses; gives its message."""
        operation = contract.operation(name, self.age)
        answer = self.ask(operation.method, filled(operation.path, ids), body, **more)
        assert answer.status_code == status, (name, answer.status_code, answer.text)
        error = answer.json()
        assert not list(_error().iter_errors(error))
        assert error["code"] == status
        message: str = error["message"]
        return message

    def pages(self, path: str, **query: Any) -> Iterator[list[Any]]:
        """Page through a list by its cursors."""
        for _ in range(300):
            answer = self.ask("GET", path, params=query)
            assert answer.status_code == 200, answer.text
            yield DECODER.decode(answer.content)
            if not answer.headers.get("x-next"):
                return
            query["cursor"] = answer.headers["x-next"]
        raise AssertionError("paging does not end")

    def all(self, path: str, **query: Any) -> list[Any]:
        return [record for page in self.pages(path, **query) for record in page]

    def ids(self, path: str, **query: Any) -> list[str]:
        return [record.get("internalId") or record["id"] for record in self.all(path, **query)]


AT = {"externalUpdatedAt": "2026-02-01T10:11:12.154"}
INTERNAL: dict[str, Any] = {"params": {"useSystem": "INTERNAL"}}


def any_vendor(vic: Vic) -> dict[str, Any]:
    return next(v for v in vic.control.records("vendors") if v.get("externalId") and v["taxInfo"].get("orgNumber"))


def file(name: str = "document", data: bytes = PDF, media: str = "application/pdf") -> dict[str, Any]:
    return {"files": {name: ("a.pdf", data, media)}}


def changed_at(vic: Vic, resource: str, id_: str) -> str:
    [record] = [r for r in vic.control.records(resource) if r["internalId"] == id_]
    return str(record["internalUpdatedAt"])


def latest(vic: Vic) -> str:
    dated = ("accounts", "dimensions", "vendors", "vatCodes", "invoices", "purchaseOrders")
    return str(max(record["internalUpdatedAt"] for name in dated for record in vic.control.records(name)))


def filled(path: str, ids: tuple[str, ...]) -> str:
    parts = iter(ids)
    return "/".join(next(parts) if part.startswith("{") else part for part in path.split("/"))


def hold(name: str, status: str, value: Any, age: Age) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in _answer(name, status, age).iter_errors(value)]
    assert not errors, (name, errors[:3])


@functools.cache
def _answer(name: str, status: str, age: Age) -> Validator:
    schema = contract.operation(name, age).answers[status]["application/json"]
    if name in {"listPaymentTerms", "getTaxCodes"} and "$ref" in schema:
        schema = {"oneOf": [{"type": "array", "items": schema}, schema]}  # the document shows the single object
    return jsonschema.Draft202012Validator(contract.inlined(schema, age))


@functools.cache
def _error() -> Validator:
    return jsonschema.Draft202012Validator(contract.component("Error"))
