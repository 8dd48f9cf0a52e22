"""Who is measured: five commands that read the same queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.contestants import HERE, Contestant, Source, tap

DOCUMENTS, LINES = "exported_documents", "exported_document_lines"

_TAP = tap("tap-ivesk")
_LOOP = (HERE, "-m", "benchmarks.ivesk.bare_loop")

OURS = Contestant("tap-ivesk", _TAP, (DOCUMENTS,))
WITH_LINES = Contestant("tap-ivesk with lines", _TAP, (DOCUMENTS, LINES))
PLAIN = Contestant("plain singer-sdk tap", (HERE, "-m", "benchmarks.ivesk.plain_tap", "--config", "{config}"))
JSON = Contestant("requests + json", (*_LOOP, "json", "{config}"))
EXACT = Contestant("requests + msgspec, exact", (*_LOOP, "msgspec", "{config}"))
ALL = (OURS, WITH_LINES, PLAIN, JSON, EXACT)


@contextmanager
def source(documents: int, **options: Any) -> Iterator[Source]:
    """Start a sandbox whose exported queue holds exactly so many documents."""
    with (
        SandboxProcess(documents, start_seconds=300, **options) as sandbox,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        # Not every document has been exported, as in life.
        missing = documents - sandbox.control.ivesk(sums=False)["exported"]["count"]
        if missing:
            sandbox.control.add(missing)
        yield Source(sandbox, {"api_url": sandbox.ivesk_url, "api_key": sandbox.api_key}, _TAP[:1], Path(folder))
