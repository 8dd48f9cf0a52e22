"""Who is measured: commands that read the same invoices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from benchmarks.contestants import HERE, OTHERS, Contestant, Source, tap

INVOICES, LINES = "invoices", "invoice_line_items"

_TAP = tap("tap-vicai")
_PLAIN = (HERE, "-m", "benchmarks.vicai.plain_tap", "--config", "{config}")
_LOOP = (HERE, "-m", "benchmarks.vicai.bare_loop")
_DLT = (str(OTHERS / "python"), "-m", "benchmarks.vicai.dlt_source", "{config}", "{folder}")
_AIRBYTE = (
    str(OTHERS / "source-declarative-manifest"),
    "read",
    "--config={config}",
    f"--catalog={Path(__file__).with_name('airbyte-catalog.json')}",
    f"--manifest-path={Path(__file__).with_name('airbyte.yaml')}",
)

# What one turns first where speed matters: workers, buffers, no compression, no tables of their own for lists.
_TUNED = {
    "source": {"parallelized": True, "max_table_nesting": 0},
    "environment": {
        "EXTRACT__WORKERS": "20",
        "EXTRACT__MAX_PARALLEL_ITEMS": "100",
        "NORMALIZE__WORKERS": "2",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
        "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "10000",
    },
}

OURS = Contestant("tap-vicai", _TAP, (INVOICES,))
PLAIN = Contestant("plain singer-sdk tap", _PLAIN)
DLT = Contestant("dlt, default", _DLT, needs="dlt")
DLT_TUNED = Contestant("dlt, tuned", _DLT, settings={"dlt": _TUNED}, needs="dlt")
AIRBYTE = Contestant("airbyte-cdk, declarative", _AIRBYTE, needs="airbyte_cdk")
JSON = Contestant("requests + json", (*_LOOP, "json", "{config}"))
EXACT = Contestant("requests + msgspec, exact", (*_LOOP, "msgspec", "{config}"))
READERS = (OURS, PLAIN, DLT, DLT_TUNED, AIRBYTE, JSON, EXACT)
RIVALS = (DLT, DLT_TUNED, AIRBYTE)
"""The fastest of these is the one to beat."""


def with_lines(workers: int, *, limited: bool) -> Contestant:
    """Return our tap with the lines of each invoice; `limited`: it keeps ahead of the service's limit."""
    settings: dict[str, Any] = {"max_concurrency": workers}
    if not limited:
        settings["rate_limit"] = {"requests": 1_000_000, "seconds": 1}
    return Contestant(f"tap-vicai, {workers} at once", _TAP, (INVOICES, LINES), settings)


PLAIN_LINES = replace(PLAIN, settings={"lines": True})
DLT_LINES = replace(DLT, settings={"lines": True})
DLT_LINES_TUNED = replace(DLT_TUNED, name="dlt, 20 workers", settings={"lines": True, "dlt": _TUNED})
LINE_READERS = (with_lines(8, limited=False), with_lines(20, limited=False), PLAIN_LINES, DLT_LINES, DLT_LINES_TUNED)
LIMITED = (with_lines(8, limited=True), with_lines(20, limited=True), DLT_LINES_TUNED)
"""Who is measured where the service allows 500 requests in 10 seconds; one request at a time never gets there."""


@contextmanager
def source(invoices: int, **options: Any) -> Iterator[Source]:
    """Start a sandbox that holds so many invoices; without a limit of requests unless `options` say otherwise."""
    with (
        SandboxProcess(0, invoices=invoices, start_seconds=300, vicai={"rate_requests": 0, **options}) as sandbox,
        TemporaryDirectory(prefix="benchmarks-") as folder,
    ):
        settings = {
            "api_url": sandbox.vicai_url,
            "client_id": sandbox.client_id,
            "client_secret": sandbox.client_secret,
            "invoice_states": ["ALL"],
        }
        yield Source(sandbox, settings, _TAP[:1], Path(folder))
