"""A client of the control API: every method is one call; decimals are exact both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec
import requests

from ap_connectors.sandbox.naming import HEADER, company_id

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a control call."""


class Control:
    """Calls the control API: every method is one call; decimals are exact both ways.

    Args:
        url: The sandbox's address, such as `http://127.0.0.1:8722`.
        company: Which of its companies the calls are about.
    """

    def __init__(self, url: str, company: str = company_id(1)) -> None:
        self._url = f"{url}/_control"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers[HEADER] = company
        self.vicai = VicaiControl(self)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make any control call; `path` starts with a slash."""
        return _DECODER.decode(self.raw(method, path, body))

    def ivesk(self, sums: bool = True) -> Any:
        """Return counts, options, first and last instants, and, if asked, exact sums by currency."""
        return self.call("GET", "/ivesk" if sums else "/ivesk?sums=false")

    def documents(self, queue: str = "exported", with_url: bool = False) -> list[dict[str, Any]]:
        """Return all documents of a queue, in its order."""
        return [_DECODER.decode(line) for line in self.document_lines(queue, with_url)]

    def document_lines(self, queue: str = "exported", with_url: bool = False) -> Iterator[bytes]:
        """Yield the JSON text of each document, exactly as served."""
        yield from self.raw("GET", f"/ivesk/documents?queue={queue}&with_url={str(with_url).lower()}").splitlines()

    def add(self, count: int = 1, **order: Any) -> list[str]:
        """Add documents (`instant`, `company`, `export`, `overrides`, `line_overrides`, `remove`); return their ids."""
        ids: list[str] = self.call("POST", "/ivesk/documents", {"count": count, **order})["ids"]
        return ids

    def export(self, ids: list[str] | None = None, count: int = 0, new: int = 0) -> list[str]:
        """Export these documents, the `count` oldest exported ones and the `new` latest that never were; return ids."""
        done: list[str] = self.call("POST", "/ivesk/export", {"ids": ids or [], "count": count, "new": new})["ids"]
        return done

    def options(self, **changes: Any) -> dict[str, Any]:
        """Change options (names as in `Options`); return all of them."""
        options: dict[str, Any] = self.call("PATCH", "/ivesk/options", changes)
        return options

    def file(self, document_id: str, state: str) -> None:
        """Make a document's PDF `gone`, `html`, `short` or `ok` again."""
        self.call("POST", "/ivesk/files", {"id": document_id, "state": state})

    def uploads(self) -> list[dict[str, Any]]:
        """Return the upload locations that were asked for, and what was put there."""
        return list(self.call("GET", "/ivesk/uploads"))

    def sync_errors(self) -> list[dict[str, Any]]:
        """Return the sync errors that were reported."""
        return list(self.call("GET", "/ivesk/syncerrors"))

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return the calls that subscribed to webhooks."""
        return list(self.call("GET", "/ivesk/subscriptions"))

    def webhook_subscriptions(self) -> list[dict[str, Any]]:
        """Return the subscriptions to Įvesk's events: event, name, target (without secrets), arn, state."""
        return list(self.call("GET", "/webhooks/subscriptions"))

    def webhooks(self) -> list[dict[str, Any]]:
        """Return the latest attempts to deliver webhooks, of both services, oldest first.

        Each has n, at, service, event, id (SNS's MessageId, or the request id), url (without secrets), attempt (1 = the
        first), outcome, status, seconds, why. Outcomes: `delivered`; `refused` (a 4XX, which counts as received);
        `failed` (another attempt follows); `given up`; `withheld` (not sent; `why` says the reason); `under way`.
        """
        return list(self.call("GET", "/webhooks")["attempts"])

    def wait_for_webhooks(self, timeout: float = 30) -> list[dict[str, Any]]:
        """Wait until every webhook is delivered or given up; return the attempts.

        Raises:
            SandboxError: Some still wait after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            found = self.call("GET", f"/webhooks?wait={min(left, 20.0):.3f}")
            if not found["waiting"]:
                return list(found["attempts"])
            if not left:
                last = found["attempts"][-1] if found["attempts"] else None
                raise SandboxError(
                    f"{found['waiting']} webhooks still wait after {timeout} s; the last attempt: {last}"
                )

    def wait_until_confirmed(self, timeout: float = 30) -> None:
        """Wait until no subscription to Įvesk's events is pending any more.

        Raises:
            SandboxError: One still is after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while pending := [one for one in self.webhook_subscriptions() if one["state"] == "pending"]:
            if time.monotonic() > until:
                raise SandboxError(f"not confirmed after {timeout} s: {pending}; attempts: {self.webhooks()[-3:]}")
            time.sleep(0.02)

    def columns(self, company: str, column: str, items: list[dict[str, Any]]) -> None:
        """Add or change values of a company's column."""
        self.call("POST", "/columns", {"company": company, "column": column, "items": items})

    def calls(self) -> list[dict[str, Any]]:
        """Return the latest calls to the services."""
        return list(self.call("GET", "/calls"))

    def clear_calls(self) -> None:
        """Forget the calls."""
        self.call("DELETE", "/calls")

    def fault(self, kind: str, **order: Any) -> dict[str, Any]:
        """Order a fault (see `faults.FaultOrder`); return it."""
        fault: dict[str, Any] = self.call("POST", "/faults", {"kind": kind, **order})
        return fault

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults on order, and how often each has hit."""
        return list(self.call("GET", "/faults"))

    def clear_faults(self) -> None:
        """Cancel all faults."""
        self.call("DELETE", "/faults")

    def reset(self, **setup: Any) -> None:
        """Start afresh: `documents`, `invoices`, `seed`, any options, `vicai={...}`; all else as at the start."""
        self.call("POST", "/reset", setup)

    def companies(self) -> list[dict[str, Any]]:
        """Return all companies: id, name, client_id, client_secret, api_key, codes (at Įvesk), seeded."""
        return list(self.call("GET", "/companies"))

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """Make any control call; return the bytes of its answer."""
        data = None if body is None else _ENCODER.encode(body)
        response = self._session.request(method, self._url + path, data=data, timeout=300)
        if response.status_code != 200:
            raise SandboxError(f"{method} /_control{path}: {response.status_code} {response.text[:300]}")
        return response.content


class VicaiControl:
    """Calls the Vic half of the control API.

    `resource` is the name in the service's paths: accounts, dimensions, vendors, vendorGroups, tags, vendorTags,
    paymentTerms, taxCodes, vatCodes, invoices, trainingInvoices, purchaseOrders, paymentBatches, attachments,
    subscription, supportingAttachments (with `invoiceId`),
    dimensionDependencies. Ids are the ones that records show as internalId or id; training invoices have the ERP's.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def overview(self, sums: bool = True) -> Any:
        """Return counts by resource, options, refusals by the rate limit and, if asked, sums by currency."""
        return self._control.call("GET", "/vicai" if sums else "/vicai?sums=false")

    def records(self, resource: str) -> list[dict[str, Any]]:
        """Return all records of a resource as a list call serves them, whatever their state."""
        return [_DECODER.decode(line) for line in self.record_lines(resource)]

    def all_records(self) -> dict[str, list[dict[str, Any]]]:
        """Return all records of all resources, by resource."""
        found: dict[str, list[dict[str, Any]]] = self._control.call("GET", "/vicai/records")
        return found

    def record_lines(self, resource: str) -> Iterator[bytes]:
        """Yield the JSON text of each record, exactly as served."""
        yield from self._control.raw("GET", f"/vicai/records/{quote(resource, safe='')}").split(b"\n")[:-1]

    def line_items(self, invoice_internal_id: str) -> list[dict[str, Any]]:
        """Return an invoice's line items, ungrouped, as served."""
        return list(self._control.call("GET", f"/vicai/lines/{quote(invoice_internal_id, safe='')}"))

    def touch(
        self, resource: str, ids: list[str] | None = None, count: int = 0, at: str | None = None, **changes: Any
    ) -> list[str]:
        """Change these records, or the first `count`; each gets a later internalUpdatedAt, or all the instant `at`."""
        order = {"resource": resource, "ids": ids, "count": count, "at": at, "changes": changes}
        return list(self._control.call("POST", "/vicai/touch", order)["ids"])

    def add(self, resource: str, count: int = 1, at: str | None = None, **overrides: Any) -> list[str]:
        """Make new records that look like seeded ones, but for `overrides`; return their ids."""
        order = {"resource": resource, "count": count, "at": at, "overrides": overrides}
        return list(self._control.call("POST", "/vicai/add", order)["ids"])

    def delete(self, resource: str, ids: list[str]) -> None:
        """Delete records, whatever uses them."""
        self._control.call("POST", "/vicai/delete", {"resource": resource, "ids": ids})

    def batch_event(
        self, batch_id: str, event: str, payment_id: str | None = None, at: str | None = None
    ) -> dict[str, Any]:
        """Let something happen to a payment batch, or to one payment or credit of it; return the batch.

        `event` is approve, complete, process, fund, reject, void, acknowledge, accept or fail.
        """
        order = {"id": batch_id, "event": event, "payment_id": payment_id, "at": at}
        batch: dict[str, Any] = self._control.call("POST", "/vicai/batch", order)
        return batch

    def click(self, kind: str, id: str | None = None, request_id: str | None = None) -> dict[str, Any]:
        """Click a button in Vic, which sends a webhook if there is a subscription: {id, request_id, sent}.

        `kind` is invoicePost or invoiceTransfer (the invoice then waits to be confirmed or rejected; without `id` the
        first that can), vendorNew (without `id` a new vendor), or syncRequest. A payment batch that is processed
        (`batch_event(id, "process")`) sends a webhook, too.
        """
        order = {"kind": kind, "id": id, "request_id": request_id}
        done: dict[str, Any] = self._control.call("POST", "/vicai/click", order)
        return done

    def event(self, kind: str, ids: list[str] | None = None, count: int = 1, **more: Any) -> list[str]:
        """Let events of the live age happen; return the ids of those that a subscription wants to know.

        They are about these records, or the first `count` of the kind's resource, or `data`. `at` is when it was, if
        not now; with `send=False` it is recorded, but not delivered, as if the receiver had been down for too long.
        """
        order = {"kind": kind, "ids": ids, "count": count, **more}
        return list(self._control.call("POST", "/vicai/event", order)["ids"])

    def events(self) -> list[dict[str, Any]]:
        """Return the record of events: id, type, version, occurred_at, body, delivered."""
        return list(self._control.call("GET", "/vicai/events"))

    def attachment(self, id: str, **state: Any) -> None:
        """Say what has become of an attachment: `status`, `error_code`, `error_message`, `invoice_ids`."""
        self._control.call("POST", "/vicai/attachment", {"id": id, **state})

    def reported(self) -> dict[str, Any]:
        """Return what was done to payments and credits, (verb, id), and which synchronisations were asked for."""
        found: dict[str, Any] = self._control.call("GET", "/vicai/reported")
        return found

    def document(self, resource: str, record_id: str, state: str) -> None:
        """Make a document `gone`, `html`, `short` or `ok` again."""
        self._control.call("POST", "/vicai/documents", {"resource": resource, "id": record_id, "state": state})

    def revoke_tokens(self) -> None:
        """Let all access tokens expire."""
        self._control.call("POST", "/vicai/revoke")

    def options(self, **changes: Any) -> dict[str, Any]:
        """Change options (names as in `VicaiOptions`); return all of them."""
        options: dict[str, Any] = self._control.call("PATCH", "/vicai/options", changes)
        return options
