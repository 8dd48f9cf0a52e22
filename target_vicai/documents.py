"""Documents of invoices, and attachments: whether Vic.ai can take what a record brings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ap_connectors.singer import input_files
from ap_connectors.singer.input_files import LONGEST_START, InputFile, Limit, show
from ap_connectors.vicai.client import Part
from target_vicai.document_types import media_type, suffix_of

__all__ = ["FIELDS", "MOST_BYTES", "Document", "is_given", "opened", "show"]

_NAME = {"type": "string", "maxLength": 255}

FIELDS: Mapping[str, Any] = {
    "document": {"type": "string"},
    "documentBase64": {"type": "string"},
    "documentName": _NAME,
    "documentType": _NAME,
}
"""What a record says of its document: a path or fsspec URL, or its bytes; its name; its media type or its suffix."""

MOST_BYTES = 64 * 1024 * 1024
"""The largest document that Vic.ai takes: 64 MB (Invoices, Create an invoice)."""


class Document(InputFile):
    """A document that Vic.ai can take: not empty, at most 64 MB, of a type that it processes. Made by `opened`.

    Args:
        found: what the record brings.
        stated: what the record says of its type.

    Raises:
        Reject: Vic.ai would not take it.
    """

    def __init__(self, found: InputFile, stated: str | None) -> None:
        super().__init__(found.shown, found.name, found.size, found.read)
        self.media = media_type(found.name or found.shown, found.start(LONGEST_START), stated)
        self.name = found.name or f"document{suffix_of(self.media)}"

    def part(self, field: str) -> Part:
        """Return the part of a form that holds the document, opened anew; whoever takes it closes it."""
        return Part(field, self.open(), self.name, self.media)


def is_given(extras: Mapping[str, Any]) -> bool:
    """Return whether a record brings a document.

    Raises:
        Reject: it brings two.
    """
    return input_files.is_given(extras.get("document"), extras.get("documentBase64"))


@contextmanager
def opened(extras: Mapping[str, Any]) -> Iterator[Document | None]:
    """Give a record's document, fetched and looked at; None if the record brings none (see `input_files.opened`).

    Raises:
        Reject: there are two, it can't be had, or Vic.ai would not take it.
    """
    limit = Limit(MOST_BYTES, "64 MB", "Vic.ai")
    source = extras.get("document"), extras.get("documentBase64"), extras.get("documentName")
    with input_files.opened(*source, limit) as found:
        yield None if found is None else Document(found, extras.get("documentType"))
