"""The webhooks' part of the story: a click on Export in Įvesk, and seconds later the document is in the warehouse."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ap_connectors.sandbox.process import SandboxProcess
from demo.acts import Places, Say
from demo.meltano import COMMAND, environment
from demo.project import ROOT, DemoError

CLICKED = 3
"""Documents that are exported, one click each."""

_PATIENCE = 60.0


@dataclass(frozen=True)
class Evidence:
    """How many events came, and how the runs that they caused ended."""

    events: int
    runs: tuple[str, ...]


def click(sandbox: SandboxProcess) -> None:
    """Exports new documents, one by one."""
    for _ in range(CLICKED):
        sandbox.control.add(1)


def play(places: Places, sandbox: SandboxProcess, say: Say, settings: Mapping[str, str]) -> Evidence:
    """Receives, subscribes, clicks, and waits for the run; `settings` are the job's environment variables."""
    folder = places.hooks
    folder.mkdir(parents=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    file = _configured(folder, sandbox, port, settings)
    say("Webhooks", "")
    with _serving(file, folder / "serve.log"):
        _told(file, "subscribe", "ivesk", "--events", "on_exported")
        sandbox.control.wait_until_confirmed(_PATIENCE)
        say("", f"receiving at {url}; Įvesk's subscription is confirmed")
        say("Export", "")
        click(sandbox)
        sandbox.control.wait_for_webhooks(_PATIENCE)
        until = time.monotonic() + _PATIENCE
        while (runs := _runs(file)) == () or any(run in {"waiting", "running"} for run in runs):
            if time.monotonic() > until:
                raise DemoError(f"No run ended within {_PATIENCE:g} s of an export; see {folder / 'serve.log'}.")
            time.sleep(0.3)
        events = len(json.loads(_told(file, "events", "--all", "--format", "json"))["events"])
        say("", f"{CLICKED} clicks, {events} events, {len(runs)} run of ivesk-to-warehouse: {', '.join(runs)}")
    return Evidence(events, runs)


def differences(evidence: Evidence) -> Iterator[str]:
    """Says in a line each what is not as it should be."""
    if evidence.events != CLICKED:
        yield f"webhooks: {CLICKED} documents were exported, and {evidence.events} events came"
    if set(evidence.runs) != {"done"}:
        yield f"webhooks: runs that events caused ended so: {', '.join(evidence.runs) or 'there were none'}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _configured(folder: Path, sandbox: SandboxProcess, port: int, settings: Mapping[str, str]) -> Path:
    """Writes the settings; JSON is YAML, too."""
    content: dict[str, Any] = {
        "public_url": f"http://127.0.0.1:{port}",
        "port": port,
        "ivesk_api_url": sandbox.ivesk_url,
        "ivesk_api_key": sandbox.api_key,
        "ivesk_test_hosts": [sandbox.url.partition("//")[2]],
        "rules": [
            {
                "on": ["ivesk.on_exported"],
                "name": "ivesk-to-warehouse",
                "run": [*COMMAND, "run", "--no-install", "ivesk-to-warehouse"],
                "cwd": str(ROOT),
                "debounce": "1s",
                "env": [f"{name}={value}" for name, value in settings.items()],
            }
        ],
    }
    file = folder / "webhooks.yml"
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return file


@contextlib.contextmanager
def _serving(file: Path, log: Path) -> Iterator[None]:
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(
            [sys.executable, "-m", "ap_connectors.webhooks", "serve", "--config", str(file)],
            cwd=ROOT,
            env=environment({}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            until = time.monotonic() + _PATIENCE
            while "receives at" not in log.read_text(encoding="utf-8"):
                if server.poll() is not None or time.monotonic() > until:
                    raise DemoError(f"ap-webhooks serve does not begin:\n{log.read_text(encoding='utf-8')[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            server.send_signal(signal.SIGTERM)


def _told(file: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "ap_connectors.webhooks", *arguments, "--config", str(file)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"ap-webhooks {' '.join(arguments)} ended with status {done.returncode}:\n{done.stderr}")
    return done.stdout


def _runs(file: Path) -> tuple[str, ...]:
    return tuple(run["status"] for run in json.loads(_told(file, "runs", "--format", "json"))["runs"])
