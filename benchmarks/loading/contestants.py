"""Who is measured: commands that load the same vendors from their standard input."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contestants import HERE, OTHERS, imports

OUR_PACKAGE = "target_vicai"
WORKERS = 8
"""Requests at once where there is no limit: our default, and as many for the bare loop."""
_NO_LIMIT = {"rate_limit": {"requests": 1_000_000, "seconds": 1}}

_TARGET = (HERE, "-m", OUR_PACKAGE, "--config", "{config}")
_PLAIN = (HERE, "-m", "benchmarks.loading.plain_target", "--config", "{config}")
_DLT = (str(OTHERS / "python"), "-m", "benchmarks.loading.dlt_destination", "{config}", "{folder}")


@dataclass(frozen=True)
class Loader:
    """One command; `ours` may not lose, double or make up anything, the others are only watched."""

    name: str
    command: tuple[str, ...]
    """With `{config}` and `{folder}` (an empty one to write to) where these belong."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Added to the credentials."""
    catches: bool = True
    """It sets refused rows aside, to `rejects_path`; else the first one ends it."""
    ours: bool = False
    needs: str = ""
    """The package of another project that it needs."""

    @property
    def there(self) -> bool:
        """Whether what it needs is installed, and works."""
        if self.ours:
            return importlib.util.find_spec(OUR_PACKAGE) is not None and bool(
                importlib.util.find_spec(f"{OUR_PACKAGE}.__main__")
            )
        return not self.needs or imports(self.needs)


def ours(name: str, **settings: Any) -> Loader:
    """Return our target with some settings."""
    return Loader(name, _TARGET, settings, ours=True)


def dlt_with(workers: int, rows: int) -> Loader:
    """Return dlt with so many workers; it loads whole files at once, so these have to be as many too."""
    environment = {"LOAD__WORKERS": str(workers)}
    if workers > 1:
        environment["NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS"] = str(max(1, rows // workers))
    name = f"dlt, caught, {workers} worker{'s' * (workers > 1)}"
    return Loader(name, _DLT, {"dlt": environment}, needs="dlt")


def with_rejects(rows: int) -> Sequence[Loader]:
    """Return who loads so many vendors, some of them bad."""
    return (
        ours("target-vicai, 20 at once", compare="none", max_concurrency=20, max_rejects=rows),
        ours("target-vicai, 8 at once", compare="none", max_rejects=rows),
        Loader("dlt, default", _DLT, catches=False, needs="dlt"),
        dlt_with(1, rows),
        dlt_with(20, rows),
        Loader("plain singer-sdk sink", _PLAIN, catches=False),
        Loader("plain sink, caught", _PLAIN),
    )


COMPARING = ours("target-vicai")
WRITING = ours("target-vicai", compare="none", max_concurrency=WORKERS, **_NO_LIMIT)
LOOP = Loader("requests + thread pool", (HERE, "-m", "benchmarks.loading.bare_loop", str(WORKERS), "{config}"))
WRITERS = (WRITING, LOOP)
UNLIMITED = ours("target-vicai", **_NO_LIMIT)
