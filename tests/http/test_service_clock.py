"""The clock of a service: by it a later run knows what may still have been missing, whatever this machine's says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
import requests

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import SETTLES, Bookmark, Page, key_of
from ap_connectors.http.service_clock import ServiceClock
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.vicai.client import VicaiClient


@pytest.mark.parametrize("header", [None, "", "soon", "Thu, 99 Nov 2026 14:12:36 GMT"])
def test_an_answer_that_tells_no_time(header: str | None) -> None:
    response, clock = requests.Response(), ServiceClock()
    response.headers.update({} if header is None else {"Date": header})
    clock.note(response)
    assert clock.now() is None


def test_an_answer_that_cannot_be_read_leaves_the_time_of_the_one_before() -> None:
    response, clock = requests.Response(), ServiceClock()
    for text in ("Thu, 26 Nov 2026 14:12:36 GMT", "Thu, 26 Nov 2026 14:12:36 GMT", "soon"):
        response.headers["Date"] = text
        clock.note(response)
    assert instants.text(clock.now() or 0).startswith("2026-11-26T14:12:3")


def ivesk(sandbox: SandboxProcess) -> Iterator[Page]:
    return IveskClient(sandbox.api_key, sandbox.ivesk_url).pages("exported", Bookmark())


def vicai(sandbox: SandboxProcess) -> Iterator[Page]:
    client = VicaiClient(sandbox.client_id, sandbox.client_secret, sandbox.vicai_url)
    return client.changes(
        "listVendors",
        Bookmark(),
        key=lambda one: key_of(one, "internalId"),
        instant_field="internalUpdatedAt",
        useSystem="INTERNAL",
    )


@pytest.mark.parametrize("read", [ivesk, vicai])
@pytest.mark.parametrize("hours", [-5, 5])
def test_what_may_be_late_is_read_again_whatever_the_time_is_here(
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[SandboxProcess], Iterator[Page]],
    hours: int,
) -> None:
    """Before what changed a moment ago something may be missing in a list; before what is three days old, nothing."""
    real = time.time_ns
    for age, is_settled in ((timedelta(days=3), True), (timedelta(seconds=20), False)):
        at = (datetime.now(timezone.utc) - age).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        sandbox.control.reset(documents=0, invoices=0)
        sandbox.control.add(instant=at)
        sandbox.control.vicai.touch("vendors", count=1, at=at)
        monkeypatch.setattr(time, "time_ns", lambda: real() + hours * 3600 * 1_000_000_000)
        held = list(read(sandbox))[-1].bookmark
        monkeypatch.undo()
        assert held.instant == at
        assert (held.settled is None) == is_settled
        if held.settled is not None:
            behind = instants.milliseconds(at) - instants.milliseconds(held.settled)
            assert SETTLES - 25_000 < behind <= SETTLES
