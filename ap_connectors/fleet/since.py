"""Reading a stream anew: its bookmark is set back in the STATE that a run begins with, and no other one is touched."""

from __future__ import annotations

import json
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop

_SLACK = 4 * 3600 * 1000
"""Milliseconds by which a bookmark on a wall clock of the services' countries may be ahead of the same text in UTC."""


def set_back(state: bytes | None, stream: str, date: str) -> bytes | None:
    """Return the state with a stream's bookmark set back to a date; never forward, for what lies between would be lost.

    Raises:
        Stop: the state does not know the stream, or the stream has no time to set back.
    """
    moment = instants.setting("--from", date)
    if state is None:
        # All of it is read anyway.
        return None
    whole: dict[str, Any] = json.loads(state)
    bookmark = whole.get("bookmarks", {}).get(stream)
    if bookmark is None:
        known = ", ".join(sorted(whole.get("bookmarks", {})))
        raise Stop(f"--stream {stream}: the state has no bookmark of it. It has those of: {known}.")
    reached = bookmark.get("replication_key_value")
    if reached is None:
        raise Stop(
            f"--stream {stream}: it has no bookmark with a time: it is read whole each time, or with its parent."
        )
    if instants.setting(f"the bookmark of {stream}", str(reached)) > moment + _SLACK:
        kept = {"replication_key": bookmark["replication_key"]} if "replication_key" in bookmark else {}
        whole["bookmarks"][stream] = {**kept, "replication_key_value": date}
    return json.dumps(whole, ensure_ascii=False).encode()
