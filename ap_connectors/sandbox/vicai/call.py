"""One call of an operation: what was asked, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.answers import LinkKey
from ap_connectors.sandbox.vicai.resources import ENCODER, RESOURCES, Entry, StoredResource
from ap_connectors.sandbox.vicai.store import Store
from ap_connectors.sandbox.vicai.tokens import Tokens
from ap_connectors.vicai.contract import Age, Operation


@dataclass(frozen=True)
class Part:
    """A part of a form: its bytes, content type and file name (None if it has none)."""

    data: bytes
    media: str
    file_name: str | None


@dataclass(frozen=True)
class Call:
    """A call of an operation, checked and taken apart: what handlers get.

    Args:
        store: the state.
        tokens: the access tokens.
        links: signs links to documents.
        operation: what is called.
        ids: the path's parameters.
        query: the query's parameters, typed, with their defaults.
        base: scheme, host and port that the caller used.
        body: the JSON body, decimals exact; None without one.
        parts: the parts of a multipart body, by name.
    """

    store: Store
    tokens: Tokens
    links: LinkKey
    operation: Operation
    ids: Mapping[str, str]
    query: Mapping[str, Any]
    base: bytes
    body: Any = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def age(self) -> Age:
        """The age that the service plays."""
        return self.operation.age

    @property
    def resource(self) -> StoredResource:
        """The resource that the path names.

        Raises:
            LookupError: the sandbox has no such resource.
        """
        name = self.operation.path.split("/")[1]
        if name not in RESOURCES:
            raise LookupError(f"{self.operation.name}: sandbox/vicai/resources.py has no resource {name}")
        return RESOURCES[name]

    @property
    def id(self) -> str:
        """The path's first parameter."""
        return next(iter(self.ids.values()))

    @property
    def system(self) -> str:
        """Whose ids the call uses: "internal" or "external"."""
        # Training invoices are known by the ERP's id only; other calls without `useSystem` mean Vic's.
        known = RESOURCES.get(self.operation.path.split("/")[1])
        default = "external" if known is not None and known.key is None else "internal"
        return str(self.query.get("useSystem", default)).lower()

    def entry(self) -> Entry:
        """Find the record that the path names.

        Raises:
            Refusal: 404, it does not exist.
        """
        found = self.store.find(self.resource.name, self.system, self.id)
        if found is None:
            whose = f"{self.system} " if "useSystem" in self.query else ""
            raise Refusal(404, f"{self.resource.component} with the {whose}id {self.id[:100]} does not exist.")
        return found

    def done(self, body: bytes = b"", *, created: bool = False) -> Response:
        """Answer with the operation's own status of success: the higher one of two if something was created."""
        statuses = sorted(int(status) for status in self.operation.answers if status.startswith("2"))
        status = statuses[-1] if created else statuses[0]
        return Response(status_code=204) if status == 204 else json_answer(body, status)


Handler = Callable[[Call], Response]


class Refusal(Exception):
    """The service says no: a status, and what is wrong in words."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def answer(self, *, v2: bool = False) -> Response:
        """Write the refusal as the service does; messages are 255 characters at most."""
        told: Any = {"code": self.status, "message": self.message[:255]}
        if v2:
            told = {"errors": [{"field": None, "message": self.message[:255]}]}
        body = ENCODER.encode(told)
        return Response(body, self.status, self.headers, "application/json")


def json_answer(body: bytes, status: int = 200) -> Response:
    """Answer with JSON that is already encoded."""
    return Response(body, status, media_type="application/json")


def value_answer(value: Any, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return json_answer(ENCODER.encode(value), status)
