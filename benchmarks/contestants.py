"""Who is measured: commands of ours, and what one would use or write instead."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = sys.executable
"""The Python that the project is installed in."""
OTHERS = Path(__file__).resolve().parent.parent / ".venv-bench" / "bin"
"""Other projects' packages, in an environment of their own because their pins differ from ours (`make bench`)."""
RIVALS = Path(__file__).with_name("rivals")


@dataclass(frozen=True)
class Contestant:
    """One command. `ours` may not lose, double or make up anything; the others are only watched."""

    name: str
    command: tuple[str, ...]
    """With `{config}`, `{catalog}` and `{folder}` (an empty one to write to) where these belong."""
    streams: tuple[str, ...] = ()
    """What a tap of ours is told to select."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Added to the settings that all share."""
    ours: bool = False
    needs: str = ""
    """The package of another project that it needs."""
    catches: bool = True
    """A loader that sets refused rows aside, to `rejects_path`; else the first one ends it."""

    @property
    def there(self) -> bool:
        """Whether what it needs is installed, and works."""
        return not self.needs or _imports(self.needs)

    def at(self, checkout: Path, label: str) -> Contestant:
        """Return the same command of ours as another checkout has it."""
        command = str(checkout / ".venv" / "bin" / Path(self.command[0]).name)
        return replace(self, name=f"{self.name}, {label}", command=(command, *self.command[1:]))


@functools.cache
def _imports(package: str) -> bool:
    python, code = OTHERS / "python", f"import {package}"
    return python.exists() and not subprocess.run([python, "-c", code], capture_output=True, check=False).returncode


def present(contestants: Iterable[Contestant], absent: list[str]) -> list[Contestant]:
    """Return those that are installed; name the others in `absent`."""
    found = list(contestants)
    absent += [one.name for one in found if not one.there]
    return [one for one in found if one.there]


def tap(command: str, name: str, *streams: str, **settings: Any) -> Contestant:
    """Return a tap of ours."""
    path = str(Path(HERE).with_name(command))
    return Contestant(name, (path, "--config", "{config}", "--catalog", "{catalog}"), streams, settings, ours=True)


def target(name: str, **settings: Any) -> Contestant:
    """Return our target."""
    path = str(Path(HERE).with_name("target-vicai"))
    return Contestant(name, (path, "--config", "{config}"), settings=settings, ours=True)


def rival(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of something of `rivals`."""
    return (HERE, "-m", f"benchmarks.rivals.{module}", *(arguments or ("--config", "{config}")))


def dlt(what: str) -> tuple[str, ...]:
    """Return the command line with which dlt does something (`read`, `load`)."""
    return (str(OTHERS / "python"), "-m", "benchmarks.rivals.dlt_vicai", what, "{config}", "{folder}")


# Reading.

DOCUMENTS, DOCUMENT_LINES = "exported_documents", "exported_document_lines"
INVOICES, INVOICE_LINES = "invoices", "invoice_line_items"

TAP_IVESK = tap("tap-ivesk", "tap-ivesk", DOCUMENTS)
TAP_IVESK_LINES = tap("tap-ivesk", "tap-ivesk with lines", DOCUMENTS, DOCUMENT_LINES)
TAP_VICAI = tap("tap-vicai", "tap-vicai", INVOICES)
PLAIN_IVESK = Contestant("plain singer-sdk tap", rival("plain_tap_ivesk"))
PLAIN_VICAI = Contestant("plain singer-sdk tap", rival("plain_tap_vicai"))


def loops(service: str) -> tuple[Contestant, Contestant]:
    """Return the two loops that read a service: as people write it, and exact."""
    return (
        Contestant("requests + json", rival("bare", service, "json", "{config}")),
        Contestant(EXACT, rival("bare", service, "msgspec", "{config}")),
    )


EXACT = "requests + msgspec, exact"
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
DLT = Contestant("dlt, default", dlt("read"), needs="dlt")
DLT_TUNED = replace(DLT, name="dlt, tuned", settings={"dlt": _TUNED})
AIRBYTE = Contestant(
    "airbyte-cdk, declarative",
    (
        str(OTHERS / "source-declarative-manifest"),
        "read",
        "--config={config}",
        f"--catalog={RIVALS / 'airbyte-catalog.json'}",
        f"--manifest-path={RIVALS / 'airbyte.yaml'}",
    ),
    needs="airbyte_cdk",
)
IVESK_READERS = (TAP_IVESK, TAP_IVESK_LINES, PLAIN_IVESK, *loops("ivesk"))
VICAI_READERS = (TAP_VICAI, PLAIN_VICAI, DLT, DLT_TUNED, AIRBYTE, *loops("vicai"))
VICAI_RIVALS = (DLT.name, DLT_TUNED.name, AIRBYTE.name)
"""The fastest of these is the one to beat."""

NO_LIMIT = {"rate_limit": {"requests": 1_000_000, "seconds": 1}}


def with_lines(workers: int, *, limited: bool) -> Contestant:
    """Return our tap with the lines of each invoice; `limited`: it keeps below the service's limit."""
    settings = {"max_concurrency": workers, **({} if limited else NO_LIMIT)}
    return tap("tap-vicai", f"tap-vicai, {workers} at once", INVOICES, INVOICE_LINES, **settings)


_DLT_LINES = replace(DLT, settings={"lines": True})
_DLT_LINES_TUNED = replace(DLT_TUNED, name="dlt, 20 workers", settings={"lines": True, "dlt": _TUNED})
LINE_READERS = (
    with_lines(8, limited=False),
    with_lines(20, limited=False),
    replace(PLAIN_VICAI, settings={"lines": True}),
    _DLT_LINES,
    _DLT_LINES_TUNED,
)
LIMITED = (with_lines(8, limited=True), with_lines(20, limited=True), _DLT_LINES_TUNED)
"""Who is measured where the service allows 500 requests in 10 seconds; one request at a time never gets there."""

# Loading.

WORKERS = 8
"""Requests at once where there is no limit: the least of our default, and as many for the bare loop."""
COMPARING = target("target-vicai")
WRITING = target("target-vicai", compare="none", max_concurrency=WORKERS, **NO_LIMIT)
UNLIMITED = target("target-vicai", **NO_LIMIT)
LOOP = Contestant("requests + thread pool", rival("bare", "vendors", str(WORKERS), "{config}"))


WRITERS = (WRITING, LOOP)


def reject_loaders(rows: int) -> Sequence[Contestant]:
    """Return who loads so many vendors, some of them bad."""
    plain = Contestant("plain singer-sdk sink", rival("plain_target"), catches=False)
    return (
        target("target-vicai", compare="none", max_rejects=rows),
        target("target-vicai, 8 at once", compare="none", max_concurrency=8, max_rejects=rows),
        Contestant("dlt, default", dlt("load"), needs="dlt", catches=False),
        _dlt_with(1, rows),
        _dlt_with(20, rows),
        plain,
        replace(plain, name="plain sink, caught", catches=True),
    )


def _dlt_with(workers: int, rows: int) -> Contestant:
    """Return dlt with so many workers; it loads whole files at once, so these have to be as many too."""
    environment = {"LOAD__WORKERS": str(workers)}
    if workers > 1:
        environment["NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS"] = str(max(1, rows // workers))
    name = f"dlt, caught, {workers} worker{'s' * (workers > 1)}"
    return Contestant(name, dlt("load"), settings={"dlt": {"environment": environment}}, needs="dlt")
