"""Installs the Meltano plugins of this project, once."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from demo import meltano
from demo.project import ROOT, SYSTEM, DemoError

ALL = (
    "tap-ivesk",
    "tap-vicai",
    "tap-saft",
    "tap-rejects",
    "mapper-ivesk-vicai",
    "target-vicai",
    "target-ivesk",
    "target-duckdb",
)
CONSTRAINTS = ROOT / "constraints.txt"


def ensure(*names: str, constraints: Path | None = CONSTRAINTS) -> list[str]:
    """Installs those of the plugins that are not there yet, or not from these files; returns which.

    Args:
        names: As in `meltano.yml`.
        constraints: The versions to install, or None for the newest that the plugins allow.

    Raises:
        DemoError: Meltano could not install them.
    """
    stamp = _stamp()
    SYSTEM.mkdir(exist_ok=True)
    with (SYSTEM / "installing-by-the-demo").open("w") as lock:
        # Demo and tests may both want to install.
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [name for name in names if not _is_installed(name, stamp)]
        if missing:
            _install(missing, constraints)
            for name in missing:
                _stamp_file(name).write_text(stamp)
    return missing


def folder(name: str) -> Path:
    """Where Meltano keeps a plugin."""
    return SYSTEM / meltano.FOLDERS[name.partition("-")[0]] / name


def _stamp() -> str:
    """Changes when a plugin may have to be installed again. The tap is an editable install: its code does not count."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for file in ("meltano.yml", "pyproject.toml", "constraints.txt"):
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def _stamp_file(name: str) -> Path:
    return folder(name) / "installed-by-the-demo"


def _is_installed(name: str, stamp: str) -> bool:
    executable = folder(name) / "venv" / "bin" / name
    return executable.exists() and _stamp_file(name).exists() and _stamp_file(name).read_text() == stamp


def _install(names: Iterable[str], constraints: Path | None) -> None:
    # Compiled now, so that the first run does not have to.
    settings = {"UV_COMPILE_BYTECODE": "1"} | ({"UV_CONSTRAINT": str(constraints)} if constraints else {})
    # All that is set for the package registry and the way to it, but nothing that is meant for other Meltano runs.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MELTANO_", "TAP_", "TARGET_", "MAPPER_"))
    }
    with meltano.process([*meltano.COMMAND, "install", *names], inherited | settings) as child:
        said = child.communicate()[0]
        if child.returncode:
            tail = "\n".join(said.rstrip().splitlines()[-20:])
            raise DemoError(f"Meltano cannot install {' and '.join(names)}; is the package registry in reach?\n{tail}")
