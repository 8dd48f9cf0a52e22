"""Runs `meltano run` in a world of its own: its state and its files are not those of the project's other runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.project import ROOT, SYSTEM, DemoError

# An empty .env instead of the project's, which may hold somebody's real settings.
COMMAND = (str(Path(sys.executable).with_name("meltano")), "--env-file", os.devnull)

FOLDERS = {"tap": "extractors", "mapper": "mappers", "target": "loaders"}
"""Where Meltano keeps plugins, by how their names begin."""

_TAIL = 25
_WIDE = 200
_PATIENCE = 5.0


@dataclass(frozen=True)
class Run:
    """What a run has read: records by stream."""

    records: Mapping[str, int]
    seconds: float


class Meltano:
    """This project's plugins and definitions, but a state, a system database and settings of its own.

    Args:
        home: Folder for all that Meltano remembers between runs.
        log: File that Meltano's output is added to.
        settings: Environment variables, such as `TAP_IVESK_API_URL`.
    """

    def __init__(self, home: Path, log: Path, settings: Mapping[str, str]) -> None:
        self._log = log
        # Two runs of one plugin in one system folder would mix up their states. So this one has its own; only the
        # installed plugins are shared.
        home.mkdir(parents=True)
        for kind in FOLDERS.values():
            (home / kind).symlink_to(SYSTEM / kind)
        self.settings = {"MELTANO_SYS_DIR_ROOT": str(home), "MELTANO_PROJECT_READONLY": "true", **settings}
        """What a run has in its environment, beside what any program needs."""
        self._environment = environment(self.settings)

    def run(self, *blocks: str) -> Run:
        """Runs plugins or jobs, as `meltano run` does.

        Raises:
            DemoError: The run failed; the message ends with the last lines of the log.
        """
        command = [*COMMAND, "--log-format=json", "run", "--no-install", *blocks]
        records: Counter[str] = Counter()
        tail: deque[str] = deque(maxlen=_TAIL)
        start = time.monotonic()
        with self._log.open("a", encoding="utf-8") as log, process(command, self._environment) as child:
            log.write(f"$ meltano run {' '.join(blocks)}\n")
            assert child.stdout is not None
            for line in child.stdout:
                entry = _entry(line)
                if _counts_records(entry):
                    records[entry["metric_info"]["tags"]["stream"]] += entry["metric_info"]["value"]
                text = _readable(entry)
                log.write(f"{text}\n")
                log.flush()
                tail.append(text[:_WIDE])
            status = child.wait()
        if status:
            said = "\n".join(tail)
            raise DemoError(f"meltano run {' '.join(blocks)} ended with status {status}:\n{said}")
        return Run(dict(records), time.monotonic() - start)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: what any program needs, and these settings.

    Neither settings that somebody made for other runs, nor a proxy: the sandbox is on this machine. Meltano is also
    quicker the less there is; it reads the whole environment some thousand times.
    """
    needed = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE")
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    # meltano.yml and the documents are not in ASCII, whatever the machine prefers.
    return {**kept, "PYTHONUTF8": "1", **settings}


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
    """A line of the log for people."""
    if "timestamp" not in entry:
        return str(entry["event"])
    text = str(entry.get("event", ""))
    if isinstance(metric := entry.get("metric_info"), dict):
        text += f" {metric.get('metric')} {metric.get('tags', {}).get('stream')} {metric.get('value')}"
    for name in ("err", "error", "exception"):
        if entry.get(name):
            text += f" {entry[name]}"
    return f"{entry['timestamp'][:19]} {entry.get('level', ''):8} {entry.get('string_id', 'meltano'):14} {text}"


@contextlib.contextmanager
def process(command: list[str], env: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A process in a group of its own, so that whatever happens its children end with it."""
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            if child.poll() != 0:
                _end_group(child)


def _end_group(child: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + _PATIENCE
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        while time.monotonic() < until:
            child.poll()
            time.sleep(0.05)
            os.killpg(child.pid, 0)
        os.killpg(child.pid, signal.SIGKILL)
