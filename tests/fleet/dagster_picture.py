"""`python -m tests.fleet.dagster_picture`: takes the picture of Dagster that docs/fleet-dagster.md shows.

The twelve companies of the example, one of which has a wrong key, on a Dagster of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ap_connectors.sandbox.process import SandboxProcess
from tests.browser import Tab, launched
from tests.preloaded import ROOT

PICTURE = ROOT / "docs" / "images" / "fleet-dagster.png"
PIPELINE, COUNT = "vic-to-warehouse", 12


def main() -> None:
    """Run the fleet, and take the picture."""
    with tempfile.TemporaryDirectory() as name, SandboxProcess(30, companies=COUNT, invoices=40) as sandbox:
        folder = Path(name)
        _fleet(folder, sandbox)
        _materialize(folder)
        with _served(folder) as address:
            _take(folder, f"{address}/assets/{PIPELINE}?view=partitions&partition=company-001")
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


def _fleet(folder: Path, sandbox: SandboxProcess) -> None:
    rows = (ROOT / "demo/companies/companies.csv").read_text("utf-8")
    (folder / "companies.csv").write_text(rows.replace("sandbox-secret-005", "a-key-of-before"), "utf-8")
    settings = {"tap-vicai": {"api_url": sandbox.vicai_url}, "tap-ivesk": {"api_url": sandbox.ivesk_url}}
    whole = {
        "warehouse": "{company}.duckdb",
        "defaults": {"pipelines": [PIPELINE, "ivesk-to-warehouse"], "settings": settings},
        "companies": {"csv": "companies.csv"},
    }
    # YAML is a superset of JSON.
    (folder / "companies.yml").write_text(json.dumps(whole), "utf-8")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": str(folder), "AP_FLEET_COMPANIES": str(folder / "companies.yml")}


def _materialize(folder: Path) -> None:
    """Run all companies once, one of which fails."""
    names = f"company-001...company-{COUNT:03}"
    room = "ap_connectors.fleet.dagster"
    code = (
        f"from dagster import DagsterInstance; from {room} import automation, location; from ap_connectors.fleet import"
    )
    code += " companies; automation.keep_up(DagsterInstance.get(), companies.read(location.place()))"
    subprocess.run([sys.executable, "-c", code], env=_environment(folder), check=True)
    command = [
        str(Path(sys.executable).parent / "dagster"),
        "asset",
        "materialize",
        "-m",
        "ap_connectors.fleet.dagster",
    ]
    command += ["--select", PIPELINE, "--partition-range", names]
    subprocess.run(command, env=_environment(folder), check=False, stderr=subprocess.DEVNULL)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve Dagster's page; end its whole group, for it does not end its children."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "dagster"),
        "dev",
        "-m",
        "ap_connectors.fleet.dagster",
        "-p",
        str(port),
    ]
    process = subprocess.Popen(
        command, env=_environment(folder), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/server_info").close()
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _take(folder: Path, address: str) -> None:
    with launched(folder) as browser, Tab(browser, width=1200, height=555, online=True) as tab:
        tab.context.set_default_timeout(120_000)
        page = tab.open(address)
        page.get_by_text("Skip", exact=True).click()  # a newsletter
        page.get_by_text("Materialized").first.wait_for()
        page.get_by_text("company-001").first.wait_for()
        page.wait_for_timeout(5000)
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
