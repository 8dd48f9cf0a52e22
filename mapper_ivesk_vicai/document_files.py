"""Where the documents' files are: what tap-ivesk says of its downloads, else what is in its folder."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from typing import Any

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.document_sources import DocumentSources, is_web, show
from ap_connectors.singer.downloads import safe_part

_HALF = re.compile("[\ud800-\udfff]")


class FileFinder:
    """Find the files of documents.

    Args:
        root: the `documents_dir` of tap-ivesk, a folder or fsspec URL; None if it is not set.
        entries: the setting `documents_from`; None if it is not set.
    """

    def __init__(self, root: str | None, entries: Sequence[str] | None = None) -> None:
        self._root = root
        self._sources = DocumentSources(entries, also=root)
        self._noted: dict[str, str] = {}

    def note(self, facts: JsonObject) -> None:
        """Remember a record of tap-ivesk's `document_files`, which comes before its document."""
        document, path = facts.get("document_id"), facts.get("path")
        if isinstance(document, str) and isinstance(path, str):
            self._noted[document] = path

    def check(self, path: str | None, link: str | None) -> str | None:
        """Return what goes on as a document's file: its path, or else the service's link, which must be one of the web.

        Raises:
            Reject: it is not from where documents may come.
        """
        if path is not None:
            # Half a character cannot be written either, and is told of there.
            if not _HALF.search(path):
                self._sources.check(path)
        elif link is not None and not is_web(link):
            raise Reject(
                f"The document's url is not an http address: {show(link)}. Tell those who run the service.",
                "document_not_allowed",
                document=show(link),
            )
        return path or link

    def pop(self, document: str) -> str | None:
        """Return the path of a document's file, by the document's id, and forget it; None if it is not known."""
        path = self._noted.pop(document, None)
        if path is None and self._root:
            path = self._kept.get(safe_part(document))
        return path

    @functools.cached_property
    def _kept(self) -> dict[str, str]:
        """All files of the folder, by the id in their names ("302320404/2026-01/SF-1~ID.pdf"); of several the newest.

        Raises:
            Stop: the folder cannot be read.
        """
        # fsspec takes a tenth of a second to import, and is not needed where the tap names its files.
        import fsspec  # noqa: PLC0415

        root = str(self._root).rstrip("/") or "/"
        shown = re.sub(r"^(\w+://)[^/]*@", r"\1", root)
        newest: dict[str, tuple[Any, str]] = {}
        try:
            files, base = fsspec.core.url_to_fs(os.path.expanduser(root))  # noqa: PTH111
            if "://" not in root and not files.isdir(base):
                raise FileNotFoundError("the folder does not exist")  # noqa: TRY301
            found = files.find(base, detail=True)
            for path, facts in found.items():
                _, mark, end = path.rpartition("~")
                if not mark or "/" in end:
                    continue
                changed = facts.get("mtime") or facts.get("LastModified") or 0
                id_ = end.rpartition(".")[0]
                if id_ not in newest or newest[id_][0] <= changed:
                    newest[id_] = changed, f"{shown}/{path[len(base) :].lstrip('/')}"
        except Exception as error:  # every file system raises its own errors
            raise Stop(f"documents_dir: {shown} cannot be read: {error}.") from None
        return {id_: path for id_, (_, path) in newest.items()}
