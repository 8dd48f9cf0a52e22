"""One call, checked and taken apart: what the handlers of operations get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from ap_connectors.sandbox.vicai.answers import Refusal, json_answer
from ap_connectors.sandbox.vicai.collection import Entry
from ap_connectors.sandbox.vicai.forms import Part
from ap_connectors.sandbox.vicai.resources import RESOURCES, Resource
from ap_connectors.sandbox.vicai.store import Store
from ap_connectors.sandbox.vicai.tokens import Tokens
from ap_connectors.vicai.contract import Operation


@dataclass(frozen=True)
class Asked:
    """A call.

    Args:
        store: the state.
        tokens: the access tokens.
        operation: what is called.
        ids: the path's parameters.
        query: the query's parameters, typed, with their defaults.
        base: scheme, host and port that the caller used.
        body: the JSON body, decimals exact; None if there is none.
        parts: the parts of a multipart body, by name.
    """

    store: Store
    tokens: Tokens
    operation: Operation
    ids: Mapping[str, str]
    query: Mapping[str, Any]
    base: bytes
    body: Any = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def resource(self) -> Resource:
        """The kind of records that the path names."""
        return RESOURCES[self.operation.path.split("/")[1]]

    @property
    def id(self) -> str:
        """The path's first parameter."""
        return next(iter(self.ids.values()))

    @property
    def system(self) -> str:
        """Whose ids the call speaks of: "internal" or "external"."""
        # Training invoices are known by the ERP's id only; other calls without `useSystem` mean Vic's.
        default = "external" if self.resource.key is None else "internal"
        return str(self.query.get("useSystem", default)).lower()

    def entry(self) -> Entry:
        """Find the record that the path names.

        Raises:
            Refusal: 404, there is none.
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


Handler = Callable[[Asked], Response]
