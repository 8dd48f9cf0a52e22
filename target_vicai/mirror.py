"""Deleting what a full load no longer has: counted first, and only what a target may have written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from target_vicai.streams import MIRRORED
from target_vicai.vic import Vic


@dataclass(frozen=True)
class Gone:
    """What is to be deleted of one stream: the natural keys, and how many records Vic has that bear one."""

    stream: str
    keys: tuple[str, ...]
    of: int

    @property
    def fraction(self) -> float:
        """The part of them that would go."""
        return len(self.keys) / self.of if self.of else 0.0


def gone(vic: Vic, versions: Mapping[str, int]) -> list[Gone]:
    """Return what the full loads of these versions, by stream, do not hold; children before parents.

    Things without an id of the ERP's are somebody else's, and are not counted.
    """
    found = []
    for stream in MIRRORED:
        if stream in versions:
            copy = vic.copy(stream)
            keys = tuple(key for _, key in copy.unseen(versions[stream]))
            found.append(Gone(stream, keys, copy.keyed()))
    return found


def refusals(found: list[Gone], most: float, unread: Mapping[str, int]) -> list[str]:
    """Say why nothing may be deleted; nothing said, it may.

    Args:
        found: what would go.
        most: the largest part of a stream's records that may go.
        unread: how many records of a stream could not be read, so that nobody knows which they are about.
    """
    said = []
    for one in found:
        if one.keys and unread.get(one.stream):
            said.append(f"{unread[one.stream]} records of {one.stream} could not be read, so what is gone is not known")
        elif one.fraction > most:
            said.append(
                f"{len(one.keys)} of {one.of} {one.stream} would be deleted, more than max_delete_fraction ({most:g})"
            )
    return said
