"""Which cursors are taken for counts: every one that may be, for a count loses records when others move."""

from __future__ import annotations

import base64

import pytest

from ap_connectors.core.raw_json import Record
from ap_connectors.vicai.changes import Answer, Chain


def chain_after(cursor: str, pages: int = 3) -> Chain:
    """A chain after three pages of a hundred records, the last of which bears a cursor."""
    chain = Chain("listVendors", {})
    for page in range(1, pages + 1):
        records: list[Record] = [{} for _ in range(100)]
        chain.go_on(Answer(records, cursor if page == pages else f"page {page}"), page)
    return chain


def in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "300",
        "301",
        "3",
        "4",
        "offset=300",
        "0000012c",
        "0x12C",
        in_base64("300"),
        in_base64('{"offset":300}'),
        in_base64('{"offset":300,"limit":100,"since":null}'),
        in_base64('{"since":"2026-01-05T07:01:02.250Z","skip":300}'),
    ],
)
def test_counts(cursor: str) -> None:
    assert chain_after(cursor).counts


@pytest.mark.parametrize(
    "cursor",
    [
        "1000300",
        "b7a1f0c2d4e8",
        "2026-01-05T07:01:02.300Z",
        in_base64("2026-01-05T07:01:02.250Z|1000300"),
        in_base64('{"after":"2026-01-05T07:01:02.250Z","id":"1000250","limit":100}'),
    ],
)
def test_places(cursor: str) -> None:
    assert not chain_after(cursor).counts


def test_the_end_is_no_count() -> None:
    chain = Chain("listVendors", {})
    chain.go_on(Answer([], None), 0)
    assert chain.ended
    assert not chain.counts
