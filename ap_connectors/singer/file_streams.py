"""Streams of files: one record for each of a parent's records, with the facts of the file that belongs to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import Record
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.file_store import FILE_FACTS, StoredFile
from ap_connectors.singer.stream import ExactStream

_as_json = msgspec.json.Encoder().encode


class FileStream(ExactStream):
    """Downloads a file for each record of its parent; selected when `documents_dir` is set.

    A file that cannot be had gives a record with the reason in `error` and no path; the run goes on.
    """

    key_fields: ClassVar[tuple[str]]
    """Our name for the id of the record that a file belongs to."""
    downloads: int = 8
    """Files downloaded at once."""

    def __init__(self, tap: Any, *, of: str) -> None:
        self.selected_by_default = bool(tap.config.get("documents_dir"))
        own = {self.key_fields[0]: {"type": ["string"], "description": f"Id of the {of}."}}
        super().__init__(tap, FILE_FACTS | {"properties": own | FILE_FACTS["properties"]})

    def open(self, exits: ExitStack) -> None:
        """Get ready; say so where there is no folder to download to."""
        super().open(exits)
        if not self.config.get("documents_dir"):
            self.logger.info("%s is selected, but documents_dir is not set: no files are downloaded", self.name)

    def owner(self, record: Record) -> msgspec.Raw | None:
        """Return the id of the parent's record, as JSON; None where it shows none, so no file can be asked for."""
        raise NotImplementedError

    def fetch(self, record: Record) -> StoredFile:
        """Download the file of a parent's record; called in several threads at once.

        Raises:
            Reject: it cannot be had; the record says why.
        """
        raise NotImplementedError

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the facts of the files, in the parents' order; nothing where there is no folder for them."""
        if not self.config.get("documents_dir"):
            return
        owners = [(owner, parent) for parent in parents if (owner := self.owner(parent)) is not None]
        if len(owners) < len(parents):
            self.logger.warning("%s: %d records bear no id to ask by", self.name, len(parents) - len(owners))
        files = ordered(self._try, [parent for _, parent in owners], workers=self.downloads)
        for (owner, _), found in zip(owners, files, strict=True):
            if isinstance(found, Reject):
                self.logger.warning("%s", found)
            facts = {"error": str(found)} if isinstance(found, Reject) else dataclasses.asdict(found)
            own = {name: msgspec.Raw(_as_json(facts.get(name))) for name in FILE_FACTS["properties"]}
            yield {self.key_fields[0]: owner} | own

    def _try(self, record: Record) -> StoredFile | Reject:
        try:
            return self.fetch(record)
        except Reject as reason:
            return reason
