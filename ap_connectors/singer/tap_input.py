"""State and catalog, as a tap is given them. What another tap wrote is refused: reading everything anew surprises."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Mapping
from typing import IO, Any

import msgspec
from singer_sdk import Stream
from singer_sdk.singerlib import Catalog

from ap_connectors.core import settings, text_files
from ap_connectors.core.errors import Stop


def content(option: str, file: IO[Any]) -> tuple[str, str]:
    """Return what messages call the file of an option, and its text, whatever its encoding."""
    where = f"{option} {'(standard input)' if file in {sys.stdin, sys.stdin.buffer} else file.name}"
    return where, text_files.decode(getattr(file, "buffer", file).read(), where)


def state(where: str, text: str, logger: logging.Logger) -> dict[str, Any]:
    """Return the state in a text; it may also be the whole STATE message, or what `meltano state get` prints.

    Raises:
        Stop: it is not a state.
    """
    if _is_log(text):
        raise Stop(f"{where}: holds more than one line of STATE. Hand in the last: tail -1 FILE > state.json")
    found = settings.json_value(where, text) if text.strip() else None
    if isinstance(found, dict):
        if found.get("type") == "STATE":
            found = found.get("value")
        if isinstance(found, dict):
            found = found.get("singer_state", found)
    if found is None:
        logger.warning("%s holds no state: everything is read from the beginning (start_date).", where)
        return {}
    if not isinstance(found, dict):
        raise Stop(f"{where}: must be one JSON object, the value of the last STATE line that the target printed.")
    bookmarks = found.get("bookmarks")
    if found and not isinstance(bookmarks, dict):
        raise Stop(f"{where}: has no 'bookmarks'. Hand in the value of the last STATE line that the target printed.")
    for stream, bookmark in (bookmarks or {}).items():
        if not isinstance(bookmark, dict):
            raise Stop(
                f"{where}: the bookmark of {stream} is not an object. Restore it; or remove it, and the stream is read "
                "from the beginning."
            )
        try:
            msgspec.convert(bookmark, _Bookmark)
        except msgspec.ValidationError as error:
            place = str(error).rpartition("`$")[2].strip(".`")
            raise Stop(
                f"{where}: the bookmark of {stream} is damaged: {place} cannot be read. Restore it; or remove the "
                "bookmark, and the stream is read from the beginning."
            ) from None
    return found


class _Bookmark(msgspec.Struct):
    """The shape of the members that bookmarks of several taps have; the others are the streams' own business."""

    replication_key: str | None = None
    replication_key_value: str | bool | int | float | None = None
    seen: dict[str, list[str] | str] | None = None
    served: list[str] = []
    partitions: list[_Bookmark] = []


def _is_log(text: str) -> bool:
    """Return whether a text is lines of JSON, as a target prints one STATE after the other."""
    lines = text.strip().splitlines()[:2]
    return len(lines) > 1 and all(line.startswith("{") and line.rstrip().endswith("}") for line in lines)


def check_bookmarks(state: Mapping[str, Any], streams: Mapping[str, Stream], tap: str, logger: logging.Logger) -> None:
    """Check that bookmarks are those of a tap.

    Raises:
        Stop: they are another tap's.
    """
    bookmarks: Mapping[str, Mapping[str, Any]] = state.get("bookmarks") or {}
    unknown = [name for name in bookmarks if name not in streams]
    foreign = [
        name
        for name, bookmark in bookmarks.items()
        if name in streams and bookmark.get("replication_key") not in {None, streams[name].replication_key}
    ]
    if foreign or (unknown and len(unknown) == len(bookmarks)):
        raise Stop(
            f"--state: is not a state of {tap}: it has bookmarks of {', '.join(sorted(foreign or unknown))}"
            f"{' by another field' if foreign else ', which it does not have'}. Hand in the state of this tap; without "
            "--state everything is read from the beginning."
        )
    if unknown:
        logger.warning(
            "--state: has bookmarks of %s, which %s does not have; they have no effect.", ", ".join(unknown), tap
        )


def catalog(where: str, text: str, tap: str) -> Catalog:
    """Return the catalog in a text.

    Raises:
        Stop: it is not a catalog.
    """
    found = settings.json_object(where, text)
    try:
        read = Catalog.from_dict(found)
    except (AttributeError, KeyError, TypeError, ValueError):
        read = Catalog()
    if not read:
        raise Stop(f"{where}: is not a catalog, which lists streams. {_make(tap)}")
    return read


def check_streams(listed: Collection[str], streams: Mapping[str, Stream], tap: str, logger: logging.Logger) -> None:
    """Check that the streams that a catalog lists are those of a tap.

    Raises:
        Stop: they are another tap's.
    """
    unknown = ", ".join(name for name in listed if name not in streams)
    if unknown and not any(name in streams for name in listed):
        raise Stop(f"--catalog: is not a catalog of {tap}: it lists {unknown}. {_make(tap)}")
    if unknown:
        logger.warning("--catalog: lists %s, which %s does not have; they have no effect.", unknown, tap)


def _make(tap: str) -> str:
    return f"Make one: {tap} --discover > catalog.json"
