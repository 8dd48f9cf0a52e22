"""A click on Export in Įvesk, and seconds later the document is in the warehouse: `ap-webhooks` runs the job."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping

from ap_connectors.sandbox.process import SandboxProcess
from demo import commands
from demo.meltano import COMMAND
from demo.project import ROOT, DemoError, Places

JOB = "ivesk-to-warehouse"
_PATIENCE = 300.0
_UNFINISHED = (
    'ap_webhooks_runs_now{status="waiting"}',
    'ap_webhooks_runs_now{status="running"}',
    "ap_webhooks_unplanned_events",
)


class Receiver:
    """A running `ap-webhooks serve`, subscribed to exports in Įvesk; each export runs the job with its settings."""

    def __init__(self, places: Places, sandbox: SandboxProcess, settings: Mapping[str, str]) -> None:
        self._sandbox, self._log, self._config = sandbox, places.file("webhooks.log"), places.file("webhooks.yml")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        rule = {
            "on": ["ivesk.on_exported"],
            "name": JOB,
            "run": [*COMMAND, "run", "--no-install", JOB],
            "cwd": str(ROOT),
            "debounce": "1s",
            "env": [f"{name}={value}" for name, value in settings.items()],
        }
        given = {
            "public_url": self.url,
            "port": port,
            "ivesk_api_url": sandbox.ivesk_url,
            "ivesk_api_key": sandbox.api_key,
            "ivesk_test_hosts": [sandbox.url.partition("//")[2]],
            "rules": [rule],
        }
        # JSON is YAML, too.
        self._config.write_text(json.dumps(given, indent=2, ensure_ascii=False), encoding="utf-8")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Start the receiver and subscribe; stop it at the end. A `DemoError` says that it does not start."""
        command = [commands.path("ap-webhooks"), "serve", "--config", str(self._config)]
        with self._log.open("w") as log, commands.started(command, commands.environment({}), log) as server:
            until = time.monotonic() + _PATIENCE
            while "receives at" not in (said := self._log.read_text(encoding="utf-8")):
                if server.poll() is not None or time.monotonic() > until:
                    raise DemoError(f"ap-webhooks serve does not start:\n{said[-2000:]}")
                time.sleep(0.1)
            self._command("subscribe", "ivesk", "--events", "on_exported")
            self._sandbox.control.wait_until_confirmed(_PATIENCE)
            yield

    def wait(self) -> tuple[int, tuple[str, ...]]:
        """Wait until all events have come and all runs have ended; return how many events, and how each run ended."""
        self._sandbox.control.wait_for_webhooks(_PATIENCE)
        until = time.monotonic() + _PATIENCE
        while self._busy() or not (runs := self._runs()) or {"waiting", "running"} & set(runs):
            if time.monotonic() > until:
                raise DemoError(f"No run ended within {_PATIENCE:g} s of an export; see {self._log}.")
            time.sleep(0.3)
        return len(json.loads(self._command("events", "--all", "--format", "json"))["events"]), runs

    def _busy(self) -> bool:
        """Whether a run is due or under way, by the metrics: a command for each look would slow the run down."""
        with contextlib.closing(http.client.HTTPConnection(self.url.partition("//")[2], timeout=_PATIENCE)) as asked:
            asked.request("GET", "/metrics")
            lines = asked.getresponse().read().decode().splitlines()
        return any(line.startswith(_UNFINISHED) and float(line.split()[-1]) for line in lines)

    def _runs(self) -> tuple[str, ...]:
        return tuple(run["status"] for run in json.loads(self._command("runs", "--format", "json"))["runs"])

    def _command(self, *arguments: str) -> str:
        return commands.run("ap-webhooks", *arguments, "--config", str(self._config)).stdout
