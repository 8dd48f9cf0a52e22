"""Runs `meltano run` with this project's plugins, and with a state of its own; installs the plugins once."""

import fcntl
import hashlib
import json
import os
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass
class Run:
    """What a run has read: records by tap and stream."""

    by_tap: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def records(self) -> Counter[str]:
        """Records by stream, of all taps together."""
        total: Counter[str] = Counter()
        for records in self.by_tap.values():
            total.update(records)
        return total


class Meltano:
    """This project's plugins and definitions, but a state, a system database and settings of its own.

    Args:
        home: Folder for all that Meltano remembers between runs.
        log: File that Meltano's output is added to.
        settings: Environment variables, such as `TAP_IVESK_API_URL`.
    """

    def __init__(self, home: Path, log: Path, settings: Mapping[str, str]) -> None:
        self._log = log
        # Two runs of one plugin in one system folder would mix up their states: only installed plugins are shared.
        home.mkdir(parents=True)
        for kind in FOLDERS.values():
            (home / kind).symlink_to(SYSTEM / kind)
        self.settings = {"MELTANO_SYS_DIR_ROOT": str(home), "MELTANO_PROJECT_READONLY": "true", **settings}
        """What a run has in its environment, beside what any program needs."""

    def run(self, *blocks: str, done: Callable[[int, Run], None] = lambda _number, _run: None) -> Run:
        """Run plugins or jobs, as `meltano run` does; call `done` with the number of each job that has ended.

        Raises:
            DemoError: The run failed; the message ends with the last lines of the log.
        """
        command = [*COMMAND, "--log-format=json", "run", "--no-install", *blocks]
        run, tail = Run(), deque[str](maxlen=_TAIL)
        env = commands.environment(self.settings)
        with self._log.open("a", encoding="utf-8") as log, commands.started(command, env) as child:
            log.write(f"$ meltano run {' '.join(blocks)}\n")
            assert child.stdout is not None
            for line in child.stdout:
                entry = _entry(line)
                if _counts_records(entry):
                    metric = entry["metric_info"]
                    run.by_tap[entry["string_id"]][metric["tags"]["stream"]] += metric["value"]
                text = _readable(entry)
                log.write(f"{text}\n")
                log.flush()
                tail.append(shortened(text, _WIDE))
                if entry.get("event") == "Block run completed" and entry.get("success"):
                    done(entry["set_number"], run)
            status = child.wait()
        if status:
            told = "\n".join(tail)
            raise DemoError(f"meltano run {' '.join(blocks)} ended with status {status}:\n{told}")
        return run


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"event": line.rstrip("\n")}


def _counts_records(entry: Mapping[str, Any]) -> bool:
    metric = entry.get("metric_info")
    producer = str(entry.get("string_id", "")).startswith("tap-")
    return producer and isinstance(metric, dict) and metric.get("metric") == "record_count"


def _readable(entry: Mapping[str, Any]) -> str:
    """Return a line of the log for people."""
    if "timestamp" not in entry:
        return str(entry["event"])
    text = str(entry.get("event", ""))
    if isinstance(metric := entry.get("metric_info"), dict):
        text += f" {metric.get('metric')} {metric.get('tags', {}).get('stream')} {metric.get('value')}"
    for name in ("err", "error", "exception"):
        if entry.get(name):
            text += f" {entry[name]}"
    return f"{entry['timestamp'][:19]} {entry.get('level', ''):8} {entry.get('string_id', 'meltano'):14} {text}"


def install(*names: str, constraints: Path | None = _CONSTRAINTS) -> list[str]:
    """Install those of the plugins that are missing, or were installed from other files; return which.

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


def _stamp() -> str:
    """Return what changes when plugins have to be installed again; ours are editable installs."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for file in ("meltano.yml", "pyproject.toml", "constraints.txt"):
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def _stamp_file(name: str) -> Path:
    return SYSTEM / FOLDERS[name.partition("-")[0]] / name / "installed-by-the-demo"


def _is_installed(name: str, stamp: str) -> bool:
    file = _stamp_file(name)
    return file.with_name("venv").joinpath("bin", name).exists() and file.exists() and file.read_text() == stamp


def _install(names: Iterable[str], constraints: Path | None) -> None:
    # Compiled now, so that the first run does not have to.
    settings = {"UV_COMPILE_BYTECODE": "1"} | ({"UV_CONSTRAINT": str(constraints)} if constraints else {})
    # All that is set for the package registry and the way to it, but nothing that is meant for other Meltano runs.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MELTANO_", "TAP_", "TARGET_", "MAPPER_"))
    }
    with commands.started([*COMMAND, "install", *names], inherited | settings) as child:
        said = child.communicate()[0]
        if child.returncode:
            tail = "\n".join(said.rstrip().splitlines()[-20:])
            raise DemoError(f"Meltano cannot install {' and '.join(names)}; is the package registry in reach?\n{tail}")
