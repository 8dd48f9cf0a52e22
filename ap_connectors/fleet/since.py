"""Reading a stream anew: its bookmark is set back in the STATE that a run begins with, and no other one is touched."""

from __future__ import annotations

import json
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop

_SEEN = {"seen", "settled", "sent", "whole", "progress_markers", "starting_replication_value"}
"""What a bookmark remembers of records that were handed out; they are to come again."""


def set_back(state: bytes | None, stream: str, date: str) -> bytes | None:
    """Return the state with a stream's bookmark set back to a date; never forward, for what lies between would be lost.

    Args:
        state: of the last run; without one everything is read anyway.
        stream: its name in the state.
        date: an instant; times of wall clocks are compared by their digits.

    Raises:
        Stop: the state does not know the stream, or the stream has no time to set back.
    """
    moment = instants.setting("--from", date)
    if state is None:
        return None
    whole: dict[str, Any] = json.loads(state)
    bookmarks = whole.get("bookmarks", {})
    bookmark = bookmarks.get(stream)
    if not isinstance(bookmark, dict):
        known = ", ".join(sorted(bookmarks))
        raise Stop(f"--stream {stream}: the state has no bookmark of it. It has those of: {known}.")
    # A list that is read in parts has a bookmark for each.
    parts = [part for part in (bookmark, *bookmark.get("partitions", ())) if part.get("replication_key_value")]
    if not parts:
        raise Stop(f"--stream {stream}: its bookmark has no time: it is read whole each time, or with its parent.")
    for part in parts:
        if instants.setting(f"the bookmark of {stream}", str(part["replication_key_value"])) > moment:
            part["replication_key_value"] = instants.text(moment)
            for name in _SEEN & part.keys():
                del part[name]
    return json.dumps(whole, ensure_ascii=False).encode()
