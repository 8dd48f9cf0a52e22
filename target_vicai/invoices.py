"""Invoices for Vic.ai to process: created, given their document, and started, each once."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.sink import UNCHANGED, Effect, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Refused
from target_vicai import documents
from target_vicai.context import Reference
from target_vicai.documents import Document
from target_vicai.sink import EXTERNAL, TEXT, Item, VicSink, as_param

_NEW = "NOT_READY"
_HEADER = ("totalAmount", "currency", "transactionType", "refNumber", "issueDate", "dueDate")
_CODES = {"currency", "transactionType"}

_NO_DOCUMENT = "it waits for its document at Vic.ai: send the record with one"
_NO_CHANGE = "Vic.ai offers no way to change an invoice"
_ALREADY = re.compile(r"\balready\b|\bbeen processed\b", re.IGNORECASE)


class Invoices(VicSink):
    """Invoices (Invoices): created, given their document, and started.

    Each invoice is looked up first, whatever `compare` is: so the next run completes what a killed one began, and does
    nothing twice. Vic.ai offers no call to change an invoice: one that is started is left as it is.
    """

    name, operation, component = "invoices", "createInvoice", "Invoice"
    extras: ClassVar[dict[str, Any]] = {"vendorExternalId": TEXT, "vendorInternalId": TEXT, **documents.FIELDS}
    _warned = False
    _line_extras: ClassVar = {
        "costAccountExternalId": TEXT,
        "dimensionsExternalIds": {"type": "array", "items": TEXT},
    }

    def contract_schema(self) -> contract.Schema:
        """Return the contract's schema of the body, its lines with the names that Vic shows as well."""
        schema = contract.inlined(super().contract_schema())
        lines = schema["properties"]["lineItems"]
        line = {**lines["items"], "properties": {**lines["items"]["properties"], **self._line_extras}}
        return {**schema, "properties": {**schema["properties"], "lineItems": {**lines, "items": line}}}

    def load(self, item: Item) -> Outcome:
        """Take the steps that are not done yet: create, attach the document, start."""
        documents.is_given(item.extras)
        body = self._body(item)
        present = self._now(item.key)
        if present is not None:
            return self._continue(item, body, present)
        with documents.opened(item.extras, self.context.sources) as document:
            try:
                self._create(item.key, self.complete(body))
            except Refused:
                # A call that we gave up on may have been done while we asked once more.
                if (present := self._now(item.key)) is None:
                    raise
                self._check_equal(item.key, body, present)
            return self._with_document(item.key, document, "created")

    def delete(self, item: Item) -> Outcome:
        """Delete an invoice by the ERP's id."""
        if self._now(item.key) is None:
            return UNCHANGED
        return self.call_delete("deleteInvoice", lambda: self._now(item.key), id=item.key, **EXTERNAL)

    # What a record means

    def _body(self, item: Item) -> JsonObject:
        """Return the body as Vic takes it: references as objects, and no nulls that the contract does not allow."""
        body = self.writable(item.body)
        if body.get("vendor") is None:
            for name, field in (("vendorExternalId", "externalId"), ("vendorInternalId", "internalId")):
                if item.extras.get(name):
                    body["vendor"] = {field: item.extras[name]}
                    break
        if "lineItems" in body:
            body["lineItems"] = [self._line(line) for line in body["lineItems"]]
        return body

    def _line(self, line: JsonObject) -> JsonObject:
        meant = {name: value for name, value in line.items() if name not in self._line_extras}
        account, dimensions = line.get("costAccountExternalId"), line.get("dimensionsExternalIds")
        if account and meant.get("costAccount") is None:
            meant["costAccount"] = {"externalId": account}
        if dimensions and meant.get("dimensions") is None:
            meant["dimensions"] = [{"externalId": one} for one in dimensions]
        return meant

    # What Vic has

    def _now(self, key: str) -> JsonObject | None:
        return self.context.client.found("getInvoice", id=key, **EXTERNAL)

    def _started(self, key: str) -> JsonObject | None:
        present = self._now(key)
        return present if present is not None and status_of(present) != _NEW else None

    def _document(self, key: str) -> JsonObject | None:
        return {} if self.context.client.exists("getInvoiceDocument", id=key, **EXTERNAL) else None

    def _changes(self, body: JsonObject, present: JsonObject) -> list[Change]:
        """Compare the fields that both have; codes in any letter case."""
        both = [name for name in _HEADER if body.get(name) is not None and present.get(name) not in {None, ""}]
        header = {name: body[name] for name in both if not _is_same_code(name, body[name], present[name])}
        return diff(self.body_schema, header, present, readable=self.read_schema)

    # The steps

    def _continue(self, item: Item, body: JsonObject, present: JsonObject) -> Outcome:
        """Take the steps that an earlier run did not reach."""
        if status_of(present) != _NEW or present.get("postingError"):
            return self._leave(item.key, self._changes(body, present))
        self._check_equal(item.key, body, present)
        if self._document(item.key) is not None:
            return self._process(item.key, Outcome("updated"), UNCHANGED)
        with documents.opened(item.extras, self.context.sources) as document:
            return self._with_document(item.key, document, "updated")

    def _leave(self, key: str, changes: list[Change]) -> Outcome:
        if not changes:
            return UNCHANGED
        if not self._warned:
            self._warned = True
            self.context.warn(
                f"invoices: {_told(key, changes[0])}. {_NO_CHANGE}; only the first such invoice is reported."
            )
        return Outcome("unchanged", note=f"it differs from the record. {_NO_CHANGE}")

    def _check_equal(self, key: str, body: JsonObject, present: JsonObject) -> None:
        for one in self._changes(body, present)[:1]:
            raise Reject(
                f"{_told(key, one)}. {_NO_CHANGE}: delete it there, or send it under another externalId.",
                "differs_at_vicai",
                field=one.path,
                theirs=as_param(one.old),
                ours=as_param(one.new),
            )

    def _create(self, key: str, body: JsonObject) -> None:
        def create() -> JsonObject:
            return self.context.writer.send(self.operation, body, find_done=lambda: self._now(key))

        self.write_with_parents(_references(body), create)

    def _with_document(self, key: str, document: Document | None, effect: Effect) -> Outcome:
        if document is None:
            return Outcome("created" if effect == "created" else "unchanged", note=_NO_DOCUMENT)
        try:
            self.context.writer.upload(
                "uploadDocumentInvoice",
                lambda: [document.part("document")],
                find_done=lambda: self._document(key),
                id=key,
                **EXTERNAL,
            )
        except Refused:
            if self._document(key) is None:
                raise
        return self._process(key, Outcome(effect), Outcome(effect))

    def _process(self, key: str, done: Outcome, was_done: Outcome) -> Outcome:
        """Start the processing; return `done`, or `was_done` if it was started before."""
        try:
            find_done = functools.partial(self._started, key)
            self.context.writer.send("startProcessingInvoice", find_done=find_done, id=key, **EXTERNAL)
        except Refused as refusal:
            # An invoice may stay NOT_READY while it is being processed; then only these words tell.
            if self._started(key) is None and not _ALREADY.search(str(refusal)):
                raise
            return was_done
        return done


def status_of(invoice: JsonObject) -> str:
    """Return an invoice's status in capitals: Vic.ai writes it in either letter case."""
    return str(invoice.get("status") or "").upper()


def _is_same_code(name: str, ours: Any, theirs: Any) -> bool:
    return name in _CODES and str(ours).upper() == str(theirs).upper()


def _told(key: str, one: Change) -> str:
    return f"{key} exists at Vic.ai with {one.path} {one.old}, and the record says {one.new}"


def _references(body: JsonObject) -> Iterator[Reference]:
    """Yield what an invoice refers to by the ERP's ids."""
    lines = body.get("lineItems") or []
    references = [
        ("vendors", body.get("vendor")),
        ("accounts", body.get("creditAccount")),
        *(("accounts", line.get("costAccount")) for line in lines),
        *(("dimensions", one) for line in lines for one in line.get("dimensions") or []),
    ]
    for resource, reference in references:
        if reference and reference.get("externalId") and not reference.get("internalId"):
            yield resource, reference["externalId"]
