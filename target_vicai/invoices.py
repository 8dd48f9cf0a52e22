"""Invoices for Vic.ai to process: created, given their document, and started, each once."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from ap_connectors.core.errors import Reject
from ap_connectors.singer.diff import Change, diff
from ap_connectors.singer.sink import UNCHANGED, Effect, Outcome
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Refused
from target_vicai import documents
from target_vicai.copy import Plain
from target_vicai.documents import Document
from target_vicai.loader import TEXT, Item, Loader, external_id

_EXTERNAL = {"useSystem": "EXTERNAL"}
_NEW = "NOT_READY"
_HEADER = ("totalAmount", "currency", "transactionType", "refNumber", "issueDate", "dueDate")
_CODES = {"currency", "transactionType"}

_WAITS = "it waits for its document at Vic.ai: send the record with one"
_WITH_VIC = "Vic.ai offers no way to change an invoice"
_ALREADY = re.compile(r"\balready\b|\bbeen processed\b", re.IGNORECASE)


class Invoices(Loader):
    """Invoices (Invoices): created, given their document, and started.

    Vic.ai is asked for each of them first, whatever `compare` is, so that a run that was killed between two steps is
    completed by the next, and nothing is done twice. Vic.ai offers no call to change an invoice: one that is there and
    started is left to it.
    """

    name, body_of, component = "invoices", "createInvoice", "Invoice"
    extras: ClassVar[dict[str, Any]] = {"vendorExternalId": TEXT, "vendorInternalId": TEXT, **documents.FIELDS}
    _warned = False
    _line_extras: ClassVar = {
        "costAccountExternalId": TEXT,
        "dimensionsExternalIds": {"type": "array", "items": TEXT},
    }

    def body_schema(self) -> contract.Schema:
        """Return the contract's schema of the body, its lines with the names that Vic shows as well."""
        schema = contract.inlined(super().body_schema())
        lines = schema["properties"]["lineItems"]
        line = {**lines["items"], "properties": {**lines["items"]["properties"], **self._line_extras}}
        return {**schema, "properties": {**schema["properties"], "lineItems": {**lines, "items": line}}}

    def key(self, body: Plain, extras: Plain) -> str:  # noqa: ARG002
        """Return the ERP's id."""
        return external_id(body)

    def load(self, item: Item) -> Outcome:
        """Take an invoice as far as it is not yet."""
        documents.is_given(item.extras)
        body = self._meant(item)
        present = self._present(item.key)
        if present is not None:
            return self._gone_on(item, body, present)
        with documents.opened(item.extras) as document:
            try:
                self._create(item.key, self.complete(body))
            except Refused:
                # A call that we gave up on may have been done while we asked once more.
                if (present := self._present(item.key)) is None:
                    raise
                self._check_same(item.key, body, present)
            return self._with_document(item.key, document, "created")

    def delete(self, item: Item) -> Outcome:
        """Delete an invoice by the ERP's id."""
        if self._present(item.key) is None:
            return UNCHANGED
        return self.dropped("deleteInvoice", lambda: self._gone(item.key), id=item.key, **_EXTERNAL)

    # What a record means

    def _meant(self, item: Item) -> Plain:
        """Return the body, with references in the form that Vic takes, and without nulls that it does not take."""
        members = self.body_shape.members
        body = {name: value for name, value in item.body.items() if value is not None or members[name].nullable}
        if body.get("vendor") is None:
            for name, field in (("vendorExternalId", "externalId"), ("vendorInternalId", "internalId")):
                if item.extras.get(name):
                    body["vendor"] = {field: item.extras[name]}
                    break
        if "lineItems" in body:
            body["lineItems"] = [self._line(line) for line in body["lineItems"]]
        return body

    def _line(self, line: Plain) -> Plain:
        meant = {name: value for name, value in line.items() if name not in self._line_extras}
        account, dimensions = line.get("costAccountExternalId"), line.get("dimensionsExternalIds")
        if account and meant.get("costAccount") is None:
            meant["costAccount"] = {"externalId": account}
        if dimensions and meant.get("dimensions") is None:
            meant["dimensions"] = [{"externalId": one} for one in dimensions]
        return meant

    # What Vic has

    def _present(self, key: str) -> Plain | None:
        return self.vic.client.found("getInvoice", id=key, **_EXTERNAL)

    def _gone(self, key: str) -> Plain | None:
        return {} if self._present(key) is None else None

    def _started_by_now(self, key: str) -> Plain | None:
        present = self._present(key)
        return present if present is not None and status(present) != _NEW else None

    def _document_by_now(self, key: str) -> Plain | None:
        return {} if self.vic.client.exists("getInvoiceDocument", id=key, **_EXTERNAL) else None

    def _differences(self, body: Plain, present: Plain) -> list[Change]:
        """Compare what both speak of; codes in any letter case."""
        both = [name for name in _HEADER if body.get(name) is not None and present.get(name) not in {None, ""}]
        header = {name: body[name] for name in both if not _is_same_code(name, body[name], present[name])}
        return diff(self.body_shape, header, present, readable=self.readable)

    # The steps

    def _gone_on(self, item: Item, body: Plain, present: Plain) -> Outcome:
        """Take the steps that an earlier run did not come to."""
        if status(present) != _NEW or present.get("postingError"):
            return self._left_to_vic(item.key, self._differences(body, present))
        self._check_same(item.key, body, present)
        if self._document_by_now(item.key) is not None:
            return self._process(item.key, Outcome("updated"), UNCHANGED)
        with documents.opened(item.extras) as document:
            return self._with_document(item.key, document, "updated")

    def _left_to_vic(self, key: str, differences: list[Change]) -> Outcome:
        if not differences:
            return UNCHANGED
        if not self._warned:
            self._warned = True
            self.vic.warn(f"invoices: {_told(key, differences[0])}. {_WITH_VIC}; this is said of the first such only.")
        return Outcome("unchanged", note=f"it differs from the record. {_WITH_VIC}")

    def _check_same(self, key: str, body: Plain, present: Plain) -> None:
        for one in self._differences(body, present)[:1]:
            raise Reject(f"{_told(key, one)}. {_WITH_VIC}: delete it there, or send it under another externalId.")

    def _create(self, key: str, body: Plain) -> None:
        def create() -> Plain:
            return self.vic.hands.send(self.body_of, body, find_done=lambda: self._present(key))

        self.with_parents(_parents(body), create)

    def _with_document(self, key: str, document: Document | None, effect: Effect) -> Outcome:
        if document is None:
            return Outcome("created" if effect == "created" else "unchanged", note=_WAITS)
        try:
            self.vic.hands.upload(
                "uploadDocumentInvoice",
                lambda: [document.part("document")],
                find_done=lambda: self._document_by_now(key),
                id=key,
                **_EXTERNAL,
            )
        except Refused:
            if self._document_by_now(key) is None:
                raise
        return self._process(key, Outcome(effect), Outcome(effect))

    def _process(self, key: str, done: Outcome, was_done: Outcome) -> Outcome:
        """Start the processing; say which of the two it was: done now, or done before."""
        try:
            find_done = functools.partial(self._started_by_now, key)
            self.vic.hands.send("startProcessingInvoice", find_done=find_done, id=key, **_EXTERNAL)
        except Refused as refusal:
            # An invoice may stay NOT_READY while it is being processed; then only these words tell.
            if self._started_by_now(key) is None and not _ALREADY.search(str(refusal)):
                raise
            return was_done
        return done


def status(invoice: Plain) -> str:
    """Return an invoice's status in capitals: Vic.ai writes it in either letter case."""
    return str(invoice.get("status") or "").upper()


def _is_same_code(name: str, ours: Any, theirs: Any) -> bool:
    return name in _CODES and str(ours).upper() == str(theirs).upper()


def _told(key: str, one: Change) -> str:
    return f"{key} exists at Vic.ai with {one.path} {one.old}, and the record says {one.new}"


def _parents(body: Plain) -> Iterator[tuple[str, str]]:
    """Yield what an invoice refers to by the ERP's ids."""
    lines = body.get("lineItems") or []
    references = [
        ("vendors", body.get("vendor")),
        ("accounts", body.get("creditAccount")),
        *(("accounts", line.get("costAccount")) for line in lines),
        *(("dimensions", one) for line in lines for one in line.get("dimensions") or []),
    ]
    for kind, reference in references:
        if reference and reference.get("externalId") and not reference.get("internalId"):
            yield kind, reference["externalId"]
