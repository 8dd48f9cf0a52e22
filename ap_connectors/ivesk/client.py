"""The client of the Įvesk REST API: queues, files, columns, uploads, error reports; and its document storage."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import IO, ClassVar, Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import requests
import urllib3

from ap_connectors.core import instants, validate
from ap_connectors.core.bookmarks import Bookmark, Page
from ap_connectors.core.errors import ApError, Reject, Retry, Stop, Unauthorized
from ap_connectors.core.raw_json import Record, decode, text
from ap_connectors.http.bodies import PLAIN, body
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.ivesk.queue import Answer, QueueReader
from ap_connectors.ivesk.uploads import Location, drain

T = TypeVar("T")

Queue = Literal["exported", "digitized"]

DEFAULT_URL = "https://app.ivesk.lt/api"
KEY_PAGE = "https://app.ivesk.lt/settings/apikey"

RIGHT_STATE = (
    "Set the right key, or hand in the right state, or none to begin anew; if it is the same account, and these "
    "documents were deleted there, take account out of the stream's bookmark in the state."
)
"""What to do with the state of another account, for a person who hands it in; a fleet has other words."""


class Refused(Reject):
    """The service refuses what it was sent: say why, and go on with the rest.

    Args:
        message: for people.
        call: the call, for programs.
        status: of the answer.
        said: the service's own message.
    """

    reason: ClassVar[str] = "service_refused"

    def __init__(self, message: str, call: str, status: int, said: str) -> None:
        super().__init__(message, self.reason, service="Įvesk", call=call, status=status, said=said)


class LinkExpired(Refused):
    """The link to a file is too old: ask the queue for a fresh one (`IveskClient.fresh_link`) and download again."""

    reason = "link_expired"


class LinkRefused(Refused):
    """The storage refuses the link: try a fresh one, once; then leave the file out, say so, and go on."""


class FileGone(Refused):
    """The storage no longer has the file: leave it out, say so, and go on."""

    reason = "not_found"


class NotFound(Refused):
    """The service does not know the object that it was told about."""

    reason = "not_found"


class ColumnAnswer(msgspec.Struct):
    """A page of a master-data column: values, and the token of the next page unless it is the last."""

    items: list[Record] | None
    next: str | None = None


class IveskClient:
    """Įvesk REST API.

    Args:
        api_key: sent as ``x-api-key`` to the API only.
        api_url: base address, ``https://app.ivesk.lt/api`` unless you use staging or the sandbox.
        timeout: seconds to connect, and between two pieces of an answer.
        user_agent: the header of that name.
        retry_policy: how often and how long transient errors are retried.
        connections: requests at once.
        allow_http: also send the key, and follow links, over http to another machine.

    Raises:
        Stop: the key or the address cannot be right.
    """

    def __init__(
        self,
        api_key: str,
        api_url: str = DEFAULT_URL,
        *,
        timeout: float = 60,
        user_agent: str = "ap-connectors",
        retry_policy: RetryPolicy | None = None,
        connections: int = 8,
        allow_http: bool = False,
    ) -> None:
        api_key = validate.credential("api_key", api_key, f"Copy it again from {KEY_PAGE}.")
        user_agent = validate.user_agent(user_agent)
        self.url = validate.private_address("api_url", api_url, DEFAULT_URL, allow_http=allow_http)
        self._api = HttpClient(
            "ivesk",
            explain=self._explain_api,
            headers={"x-api-key": api_key, "Accept": "application/json", "User-Agent": user_agent},
            secrets=[api_key],
            timeout=timeout,
            retry_policy=retry_policy,
            connections=connections,
        )
        self._storage = HttpClient(
            "ivesk storage",
            explain=self._explain_storage,
            headers={"User-Agent": user_agent},
            secrets=[api_key],
            timeout=timeout,
            retry_policy=retry_policy,
            connections=connections,
            links_of=self.url,
            allow_http=allow_http,
        )
        self._answers = msgspec.json.Decoder(Answer)
        self._columns = msgspec.json.Decoder(ColumnAnswer)

    def pages(self, queue: Queue, since: Bookmark, doctype: str | None = None) -> Iterator[Page]:
        """Yield the pages of a queue after a bookmark, to its end; each document once (see `ivesk.queue`).

        Raises:
            Stop: key, address or bookmark are wrong. Outage: the service failed for too long.
        """
        return iter(QueueReader(lambda ask: self._page(queue, ask, doctype), f"{queue}at", since, self.now))

    def now(self) -> int | None:
        """Return what time it is at the service (milliseconds since 1970); None before its first answer."""
        return self._api.clock.now()

    def fresh_link(self, queue: Queue, document: Record) -> str | None:
        """Ask the queue for a document again; return its fresh link, or None if it has moved on in the queue."""
        at = text(document, f"{queue}at")
        for page in QueueReader(lambda ask: self._page(queue, ask, None), f"{queue}at", Bookmark(at)):
            for found in page.records:
                if found["id"] == document["id"]:
                    return text(found, "url")
            if at and (page.bookmark.instant or "") > at:
                break
        return None

    def column(self, company_code: str, column: str, since: str | None) -> Iterator[list[Record]]:
        """Yield the values of a company's master-data column that changed since an instant, by pages.

        Raises:
            Stop: the service does not know the company or the column.
        """
        url = f"{self.url}/pub/columns/{quote(company_code, safe='')}"
        query = {"column": column} | ({"modifiedsince": since} if since else {})
        tokens: set[str] = set()
        while True:
            what = f"GET /pub/columns/{company_code}?column={column}"
            answer = self._api.fetch(
                "GET", url, lambda r: decode(body(r), self._columns), what=what, stream=True, params=query
            )
            yield answer.items or []
            if not answer.next:
                return
            if answer.next in tokens:
                raise Stop(f"ivesk: {what} goes round in a circle: the same next page was named twice.")
            tokens.add(answer.next)
            query["next"] = answer.next

    def download(self, document: Record, link: str, read: Callable[[requests.Response], T]) -> T:
        """Fetch a document's file from its link, without the API key; `read` takes the streamed answer.

        Raises:
            LinkExpired, LinkRefused: ask for a fresh link. FileGone: the file is not there any more.
            Outage: the storage failed for too long.
        """
        return self._storage.fetch(
            "GET",
            link,
            read,
            what=f"file of document {text(document, 'id')}",
            stream=True,
            redirects=True,
            headers=PLAIN,
        )

    def check(self) -> None:
        """Make the cheapest call that proves key and address: what has been exported since now.

        Raises:
            Stop: one of them is wrong. Outage: the service failed for too long.
        """
        self._page("exported", instants.text(time.time_ns() // 1_000_000), None)

    def location(self, file_name: str, query: Mapping[str, str]) -> Location:
        """Ask where a file may be put; nothing is there before it is put (`put`).

        Args:
            file_name: as the service is to call it.
            query: options of the upload, and what shall come back with the document, as the API names them.

        Raises:
            Refused: the service does not take these. Stop: key or address are wrong. Outage: the service failed.
        """
        return self._api.fetch(
            "GET",
            f"{self.url}/pub/uploadlocation/{quote(file_name, safe='')}",
            lambda response: Location.read(body(response)),
            what=f"{_UPLOAD}{file_name}",
            stream=True,
            params=query,
        )

    def put(
        self,
        location: Location,
        read: Callable[[], IO[bytes]],
        *,
        what: str,
        find_done: Callable[[], None] | None = None,
    ) -> None:
        """Put a file to its place, without the API key. To one place it may be put again and again.

        Args:
            location: its place.
            read: opens the file, anew for every try.
            what: names the file in messages.
            find_done: told when a try has failed that may have been done all the same.

        Raises:
            LinkExpired: ask for another location. Reject: the storage does not take it. Outage: it failed.
        """
        with location.hidden(self._api.redact, self._storage.redact), ExitStack() as files:

            def opened() -> dict[str, IO[bytes]]:
                files.close()
                return {"data": files.enter_context(read())}

            self._storage.fetch(
                "PUT",
                location.url,
                drain,
                what=f"upload of {what}",
                stream=True,
                find_done=find_done,
                prepare=opened,
                headers=location.headers,
            )

    def report_error(
        self, document_id: str, company_code: str, message: str, *, find_done: Callable[[], None] | None = None
    ) -> None:
        """Tell the accountant that a document did not arrive in the books. Not idempotent.

        Args:
            document_id: the service's id of the document.
            company_code: registration code of the company that it belongs to.
            message: why, for the accountant.
            find_done: told when the call has failed and may have been done all the same; what it raises ends the call.

        Raises:
            Refused: the service does not take it. Stop: key or address are wrong. Outage: the service failed.
        """
        self._api.fetch(
            "POST",
            f"{self.url}/pub/syncerrors",
            drain,
            what=f"{_SYNC_ERRORS} for document {document_id}",
            stream=True,
            find_done=find_done,
            json={"documentid": document_id, "companycode": company_code, "message": message},
        )

    def subscribe(self, name: str, event: str, target: str, secret: str) -> None:
        """Subscribe to an event; the service then asks the target to confirm. Asked twice, it stays one subscription.

        Args:
            name: of the subscription.
            event: ``on_exported`` or ``on_digitized``.
            target: https address that the service is to call, without its query.
            secret: becomes the target's query; it must not show anywhere.

        Raises:
            Stop: the service does not take it. Outage: it failed for too long; ask again.
        """
        self._api.redact.add(secret)
        self._api.fetch(
            "POST",
            f"{self.url}/pub/subscriptions",
            drain,
            what=f"POST /pub/subscriptions ({event})",
            stream=True,
            json={"name": name, "eventType": event, "target": f"{target}?secret={quote(secret, safe='')}"},
        )

    def mask(self, text: str) -> str:
        """Return a text without the secrets: the key, and links that permit to write."""
        return self._api.redact.mask(text)

    def _page(self, queue: Queue, ask: str, doctype: str | None) -> Answer:
        query = {"from": ask} | ({"doctype": doctype} if doctype else {})
        return self._api.fetch(
            "GET",
            f"{self.url}/pub/{queue}",
            lambda response: decode(body(response), self._answers),
            what=f"GET /pub/{queue}?from={ask}",
            stream=True,
            params=query,
        )

    def _explain_api(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        said = self._api.redact(_message(response))
        quoted = f" ({said})" if said else ""
        if status in {401, 403}:
            told = f"ivesk: the api_key is not accepted: status {status}{quoted}. Make a new key at {KEY_PAGE}."
            return Unauthorized(told) if status == 401 else Stop(told)
        if status == 404 and what.startswith(_SYNC_ERRORS):
            return NotFound(f"ivesk: {what}: it does not exist there{quoted}.", what, status, said)
        if status == 404:
            of_column = what.startswith("GET /pub/columns/")
            check = (
                "company_code and column in the setting columns" if of_column else f"api_url (usually {DEFAULT_URL})"
            )
            return Stop(f"ivesk: {what}: not found at {self.url}{quoted}. Check {check}.")
        if status < 400:
            host = urlsplit(response.headers.get("Location", "")).netloc or "another path"
            return Stop(f"ivesk: {self.url} redirects to {host}. Set api_url to the address of the API itself.")
        if what.startswith((_SYNC_ERRORS, _UPLOAD)):
            return Refused(f"ivesk: {what}: the service refuses it: status {status}{quoted}.", what, status, said)
        return Stop(f"ivesk: {what}: the service refuses the call: status {status}{quoted}. Check the settings.")

    def _explain_storage(self, response: requests.Response, what: str) -> ApError:
        status = response.status_code
        xml = response.raw.read(2000, decode_content=True).decode("utf-8", "replace")
        code, reason = ("".join(re.findall(rf"<{name}>\s*(.*?)\s*</{name}>", xml)[:1]) for name in ("Code", "Message"))
        said = self._storage.redact(": ".join(part for part in (code, reason) if part) or "no reason given")
        if code in _AGAIN:
            return Retry(f"status {status}, {said}")
        if "expired" in f"{code} {reason}".lower():
            return LinkExpired(f"ivesk: {what}: the link has expired", what, status, said)
        if status in {404, 410}:
            message = f"ivesk: {what}: the storage does not have it (status {status}, {said})"
            return FileGone(message, what, status, said)
        return LinkRefused(f"ivesk: {what}: the storage refuses the link (status {status}, {said})", what, status, said)


def _message(response: requests.Response) -> str:
    try:
        return text(decode(body(response), _MESSAGE), "message") or ""
    except (ApError, urllib3.exceptions.HTTPError):
        return ""


_AGAIN = {
    "ConditionalRequestConflict", "IncompleteBody", "InternalError", "OperationAborted", "PriorRequestNotComplete",
    "RequestTimeout", "RequestTimeoutException", "ServerBusy", "ServiceUnavailable", "OperationTimedOut", "Busy",
    "BandwidthLimitExceeded", "LimitExceededException", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
    "TooManyRequestsException",
}  # fmt: skip
"""Codes with which storage asks for the same call again, whatever its status (Amazon S3, Error responses; Azure)."""
_UPLOAD = "GET /pub/uploadlocation/"
_SYNC_ERRORS = "POST /pub/syncerrors"
_MESSAGE = msgspec.json.Decoder(Record)
