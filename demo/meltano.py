"""Runs `meltano run` with this project's plugins, and with a state of its own; installs the plugins once."""

import fcntl
import hashlib
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ap_connectors.core.redact import shortened
from demo import commands
from demo.project import ROOT, SYSTEM, DemoError

# An empty .env instead of the project's, which may hold somebody's real settings.
COMMAND = (commands.path("meltano"), "--env-file", os.devnull)

PLUGINS = (
    "tap-ivesk",
    "tap-vicai",
    "tap-saft",
    "tap-rejects",
    "mapper-ivesk-vicai",
    "target-vicai",
    "target-ivesk",
    "target-warehouse",
)
"""What the demo's jobs need."""
FOLDERS = {"tap": "extractors", "mapper": "mappers", "target": "loaders"}
"""Where Meltano keeps plugins, by how their names begin."""

_CONSTRAINTS = ROOT / "constraints.txt"
_TAIL = 25
_WIDE = 200


class Meltano:
    """This project's plugins and definitions, but a state, a system database and settings of its own."""

    def __init__(self, home: Path, log: Path, settings: Mapping[str, str]) -> None:
        """Remember between runs in the folder `home`, add the output to `log`; `settings` are environment variables."""
        self._log = log
        # Two runs of one plugin in one system folder would mix up their states: only installed plugins are shared.
        home.mkdir(parents=True)
        for kind in FOLDERS.values():
            (home / kind).symlink_to(SYSTEM / kind)
        self.settings = {"MELTANO_SYS_DIR_ROOT": str(home), "MELTANO_PROJECT_READONLY": "true", **settings}
        """What a run has in its environment, beside what any program needs."""

    def run(
        self, *blocks: str, done: Callable[[int, Counter[str]], None] = lambda _number, _read: None
    ) -> Counter[str]:
        """Run plugins or jobs, as `meltano run` does; return how many records were read, by stream.

        `done` is called with the number of each job that has ended, and what it has read. A `DemoError` says that the
        run failed, with the last lines of the log.
        """
        line = f"meltano run {' '.join(blocks)}"
        total, read, tail = Counter[str](), Counter[str](), deque[str](maxlen=_TAIL)
        command = [*COMMAND, "--log-format=json", "run", "--no-install", *blocks]
        env = commands.environment(self.settings)
        with self._log.open("a", encoding="utf-8") as log, commands.started(command, env) as child:
            log.write(f"$ {line}\n")
            assert child.stdout is not None
            for entry in map(_entry, child.stdout):
                metric = entry.get("metric_info")
                is_of_tap = str(entry.get("string_id")).startswith("tap-")
                if is_of_tap and isinstance(metric, dict) and metric.get("metric") == "record_count":
                    read[metric["tags"]["stream"]] += metric["value"]
                    total[metric["tags"]["stream"]] += metric["value"]
                log.write(f"{_readable(entry)}\n")
                log.flush()
                tail.append(shortened(_readable(entry), _WIDE))
                if entry.get("event") == "Block run completed" and entry.get("success"):
                    done(entry["set_number"], read)
                    read = Counter()
            status = child.wait()
        if status:
            raise DemoError("\n".join([f"{line} ended with status {status}:", *tail]))
        return total


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"event": line.rstrip("\n")}


def _readable(entry: Mapping[str, Any]) -> str:
    """Return a line of the log for people."""
    shown = ("timestamp", "level", "string_id", "event", "metric_info", "err", "error", "exception")
    return " ".join(str(entry[name]) for name in shown if entry.get(name))


def install(*names: str, constraints: Path | None = _CONSTRAINTS) -> list[str]:
    """Install those of the plugins that are missing, or were installed from other files; return which.

    `constraints` are the versions to install, or None for the newest that the plugins allow.
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


def _stamp() -> str:
    """Return what changes when plugins have to be installed again; ours are editable installs."""
    files = (ROOT / name for name in ("meltano.yml", "pyproject.toml", "constraints.txt"))
    return hashlib.sha256(
        b"".join([f"{ROOT} {sys.version}".encode(), *(file.read_bytes() for file in files)])
    ).hexdigest()


def _stamp_file(name: str) -> Path:
    return SYSTEM / FOLDERS[name.partition("-")[0]] / name / "installed-by-the-demo"


def _is_installed(name: str, stamp: str) -> bool:
    file = _stamp_file(name)
    return file.with_name("venv").joinpath("bin", name).exists() and file.exists() and file.read_text() == stamp


def _install(names: Iterable[str], constraints: Path | None) -> None:
    # Compiled now, so that the first run does not have to.
    settings = {"UV_COMPILE_BYTECODE": "1"} | ({"UV_CONSTRAINT": str(constraints)} if constraints else {})
    # All that is set for the package registry and the way to it, but nothing that is meant for other Meltano runs.
    others = ("MELTANO_", "TAP_", "TARGET_", "MAPPER_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    with commands.started([*COMMAND, "install", *names], inherited | settings) as child:
        said = child.communicate()[0]
        if child.returncode:
            tail = "\n".join(said.rstrip().splitlines()[-20:])
            raise DemoError(f"Meltano cannot install {' and '.join(names)}; is the package registry in reach?\n{tail}")
