"""What is set aside still: records in the reject files of a company.

Whoever has corrected and loaded a file moves it away. A later run has nothing new to read, and would say nothing of it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from ap_connectors.fleet.members import Fleet


def folder(fleet: Fleet, company: str) -> Path:
    """Return the folder that the reject files of a company are in."""
    return fleet.folder / "rejects" / company


def waiting(fleet: Fleet, company: str) -> int:
    """Return how many records the reject files of a company have."""
    count = 0
    for path in folder(fleet, company).rglob("*.jsonl"):
        # It may be moved away at this moment.
        with contextlib.suppress(OSError), path.open("rb") as lines:
            count += sum(1 for line in lines if b'"rejected"' in line)
    return count
