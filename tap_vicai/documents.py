"""Downloading the documents of invoices to `documents_dir`, under names that tell what they are."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec

from ap_connectors.core.raw_json import Record, text
from ap_connectors.singer.downloads import FileStream, safe_part
from ap_connectors.vicai.client import document_type

if TYPE_CHECKING:
    import requests

    from ap_connectors.singer.downloads import StoredFile
    from tap_vicai.base import Source

_CHUNK = 256 * 1024


class VicaiFiles(FileStream):
    """Files behind an operation of the API."""

    operation: ClassVar[str]
    folder: ClassVar[str]
    query: ClassVar[dict[str, str]] = {}
    id_names: ClassVar[tuple[str, ...]]
    """Fields of the parent's record that may hold the id to ask by; the first that does counts."""
    kept_for_good: ClassVar[bool]
    """Whether a file that is there already need not be asked for again."""

    def __init__(self, tap: Any) -> None:
        super().__init__(tap, of=self.folder.replace("_", " ").removesuffix("s"))
        self.downloads = tap.config.get("max_concurrency") or 8

    @property
    def source(self) -> Source:
        """The tap, for its client and its folder."""
        return cast("Source", self.tap)

    def owner(self, record: Record) -> msgspec.Raw | None:
        """Return the id to ask by, if the service shows one."""
        return next((record[name] for name in self.id_names if text(record, name)), None)

    def fetch(self, record: Record) -> StoredFile:
        """Download one file."""
        number = next(filter(None, (text(record, name) for name in self.id_names)))
        stem = self.stem(record, number)
        store = self.source.files
        known = store.find(f"{stem}.pdf") if self.kept_for_good else None

        def keep(response: requests.Response) -> StoredFile:
            kind = document_type(response)
            suffix = ".pdf" if kind == "application/pdf" else mimetypes.guess_extension(kind) or ".bin"
            return store.write(f"{stem}{suffix}", response.iter_content(_CHUNK), kind)

        return known or self.source.client.document(self.operation, keep, id=number, **self.query)

    def stem(self, record: Record, number: str) -> str:
        """Return the file's name without its ending: kind, month, the invoice's own number, and the id.

        Two invoices never share one: the character between number and id stands in neither.
        """
        month = (text(record, "issueDate") or "")[:7]
        return "/".join(
            (
                self.folder,
                month if re.fullmatch(r"\d{4}-\d\d", month) else "undated",
                f"{safe_part(text(record, 'refNumber') or 'unnumbered')}~{safe_part(number)}",
            )
        )
