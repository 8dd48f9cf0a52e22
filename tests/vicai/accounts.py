"""The accounts of the sandbox, read in small pages while things happen to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ap_connectors.core.bookmarks import Bookmark, Page, key_of
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.session import RetryPolicy
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.client import VicaiClient

Version = tuple[str, str]
"""(internalId, time): one state of a record."""

Between = Callable[[int, list[Version]], None]
"""What happens once so many pages were handed out: takes their number and all that was handed out."""

QUICK = RetryPolicy(tries=3, first_pause=0.01, longest_pause=0.02)


class Accounts:
    """The accounts of the sandbox (130 of them, most from one import, so of one instant), read in small pages."""

    def __init__(self, sandbox: SandboxProcess, limit: int = 10, **options: Any) -> None:
        sandbox.control.reset(documents=0, invoices=0, vicai={"rate_requests": 0, **options})
        self.control = sandbox.control.vicai
        self.sandbox = sandbox
        self.client = VicaiClient(sandbox.client_id, sandbox.client_secret, sandbox.vicai_url, retry_policy=QUICK)
        self._limit = str(limit)

    def changes(self, since: Bookmark) -> Iterator[Page]:
        return self.client.changes(
            "listAccounts",
            since,
            key=lambda record: key_of(record, "internalId"),
            instant_field="internalUpdatedAt",
            useSystem="INTERNAL",
            limit=self._limit,
        )

    def read(self, since: Bookmark, between: Between | None = None) -> tuple[list[Version], Bookmark]:
        """Read to the end; return what was handed out and the last bookmark, as it comes back from a state file."""
        out: list[Version] = []
        bookmark = since
        for number, page in enumerate(self.changes(since), start=1):
            out += versions(page.records)
            bookmark = page.bookmark
            if between:
                between(number, out)
        return out, stored(bookmark)

    def held(self) -> set[Version]:
        records = self.control.records("accounts")
        return {(record["internalId"], record["internalUpdatedAt"]) for record in records}


def versions(records: list[Record], instant_field: str = "internalUpdatedAt") -> list[Version]:
    return [(text(record, "internalId") or "", text(record, instant_field) or "") for record in records]


def stored(bookmark: Bookmark, clock: Clock = UTC) -> Bookmark:
    """The bookmark as a later process finds it."""
    return Bookmark.from_state(json.loads(json.dumps(bookmark.to_state())), None, clock)


def ids(out: list[Version]) -> list[str]:
    """Ids in the order in which they were first handed out."""
    return list(dict.fromkeys(id_ for id_, _ in out))
