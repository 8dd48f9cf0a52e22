"""The commands of the pages, typed as they stand there, in a folder that has the files that they name."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openpyxl
import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.preloaded import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {
    "make": "the tests themselves, and test_demo",
    "meltano": "test_meltano, test_pipelines and test_definitions",
    "dagster": "test_fleet_dagster, test_fleet_dagster_kill",
    "podman": "test_container, step by step",
    "pip": "test_extras",
    "python3": "makes an environment",
    ".": "activates it",
    "cat": "shows a file",
    "mkdir": "the folder is there",
}
"""First words of commands that other tests run."""
OTHERS = ("target-jsonl", "target-erp", "tap-erp", "tap-csv")
"""Commands of others, which hand on what they get."""
STATUSES = {
    "ap-webhooks retry 12": (1, "there is no run 12"),
    "ap-webhooks status vicai": (0, "vicai"),
    "ap-webhooks reconcile": (0, "compared"),
    # Two vendors of the list have a mistake.
    "TARGET_VICAI_DRY_RUN=true target-vicai --config=ENV --input": (1, "2 would be created, 2 would be rejected"),
    "TARGET_VICAI_REPORT_PATH=output/rejects.xlsx": (1, "2 created, 0 updated, 0 unchanged, 0 older, 0 deleted, 2 rej"),
    "target-vicai --config=ENV --input output/vendors.xlsx": (0, "4 received, 2 created, 0 updated, 2 unchanged"),
    "ap-tieout": (0, "ties"),
    # Of so few invoices none was posted, so that there is nothing to read anew.
    "ap-fleet run --only acme --from": (1, "its bookmark has no time"),
    # The sandbox has documents that cannot be mapped.
    "tap-ivesk --config ivesk.json | mapper-ivesk-vicai": (1, "set aside"),
}
"""How commands end that show something else here than on the page: status, and what they say."""


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, continued lines put together, without comments."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("$ "):
                yield re.sub(r"\s+# .*", "", line[2:]).strip()


def word(command: str) -> str:
    """The program that a command runs."""
    return re.sub(r"^(\w+=\S+ )*(\.venv/bin/)?", "", command).split()[0]


def runnable(page: Path) -> list[str]:
    return [command for command in commands(page) if word(command) not in ELSEWHERE]


def test_jobs_and_files_that_meltano_is_given_exist() -> None:
    jobs = re.findall(r"^- name: (\S+)", (ROOT / "meltano.yml").read_text("utf-8").split("\njobs:")[1], re.MULTILINE)
    for page in PAGES:
        for command in commands(page):
            for job in re.findall(r"\b\w+-to-\w+\b", command if word(command) == "meltano" else ""):
                assert job in jobs or job.endswith("vicai"), command
            for path in re.findall(r"\$AP_CONNECTORS/(\S+)", command):
                assert (ROOT / path).exists(), command


@pytest.mark.campaign
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem == "tap-vicai" else [pytest.mark.long])
        for page in PAGES
        if runnable(page)
    ],
)
def test_commands_of_a_page(page: Path, sandbox: SandboxProcess, tmp_path: Path) -> None:
    world = World(sandbox, tmp_path, page)
    try:
        for command in runnable(page):
            world.type(command)
    finally:
        world.end()


class World:
    """A shell in a folder with everything that the pages name."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, page: Path) -> None:
        self._folder, self._sandbox = folder, sandbox
        self._servers: list[subprocess.Popen[bytes]] = []
        programs = folder / "bin"
        programs.mkdir()
        for name in OTHERS:
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$0"\n')
            (programs / name).chmod(0o755)
        self._environment = {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONUTF8": "1",
            "TARGET_WAREHOUSE_DATABASE": "output/warehouse.duckdb",
            "TARGET_WAREHOUSE_SCHEMA": "vicai",
        }
        self._variables()
        self._files(page)
        if page.stem == "tie-out":
            self.type("target-vicai --config vic.json < given.jsonl > given.log")
        if page.stem in {"tie-out", "upgrade", "views"}:
            for service in ("ivesk", "vicai"):
                load = f"target-warehouse --config=ENV > {service}.log"
                self.type(f"tap-{service} --config=ENV | TARGET_WAREHOUSE_SCHEMA={service} {load}")

    def _variables(self) -> None:
        sandbox = self._sandbox
        for plugin in ("TAP_VICAI", "TARGET_VICAI"):
            self._environment |= {
                f"{plugin}_API_URL": sandbox.vicai_url,
                f"{plugin}_CLIENT_ID": sandbox.client_id,
                f"{plugin}_CLIENT_SECRET": sandbox.client_secret,
            }
        for plugin in ("TAP_IVESK", "TARGET_IVESK"):
            self._environment |= {f"{plugin}_API_URL": sandbox.ivesk_url, f"{plugin}_API_KEY": sandbox.api_key}

    def _files(self, page: Path) -> None:
        folder, sandbox = self._folder, self._sandbox
        vicai = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "api_url": sandbox.vicai_url}
        ivesk = {"api_key": sandbox.api_key, "api_url": sandbox.ivesk_url}
        (folder / "output").mkdir()
        (folder / "project").mkdir()
        (folder / "invoices").mkdir()
        shutil.copytree(ROOT / "demo/saft", folder / "exports")
        shutil.copytree(ROOT / "demo/lists", folder / "demo/lists")
        for name in ("vicai", "vic", "tap-vicai", "target-vicai"):
            self.write(f"{name}.json", vicai)
        self.write("config.json", ivesk if page.stem == "target-ivesk" else vicai)
        for name in ("ivesk", "tap-ivesk"):
            self.write(f"{name}.json", ivesk)
        self.write("rejects.json", {})
        companies = [{"id": name, "settings": {"tap-vicai": vicai}} for name in ("acme", "beta")]
        usual = {"pipelines": ["vic-to-warehouse"]}
        self.write("companies.yml", {"warehouse": "{company}.duckdb", "defaults": usual, "companies": companies})
        mapper = {"company_code": "391016469", "documents_from": [str(folder)]}
        tables = {"vat_classes": "vat", "accounts": "accounts", "objects": "objects", "vendor_table": "vendors"}
        self.write("mapper.json", mapper | {name: f"{ROOT}/demo/tables/{file}.csv" for name, file in tables.items()})
        for name in ("given.jsonl", "erp.jsonl", "given-to-the-target.jsonl"):
            self._lines(name, "docs/target-vicai/vendors.md")
        self._lines("messages.jsonl", "docs/target-ivesk.md")
        for name in ("rejects", "rejects-20261121T120000Z", "rejects-mapper-20261121T120000Z"):
            (folder / f"{name}.jsonl").touch()
        self.write("inbox.json", {"inbox": "webhooks.db"})
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        webhooks = {"port": port, "public_url": f"http://127.0.0.1:{port}", "inbox": "webhooks.db", "rules": []}
        for service, settings in (("vicai", vicai), ("ivesk", ivesk)):
            webhooks |= {f"{service}_{name}": value for name, value in settings.items()}
        # In place of SNS, which reaches public addresses only.
        self.write("webhooks.yml", webhooks | {"ivesk_test_hosts": [urlsplit(sandbox.ivesk_url).netloc]})

    def _lines(self, name: str, page: str) -> None:
        """Write the messages that a page shows."""
        (found, *_) = re.findall(r"^```jsonl\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
        document = self._sandbox.control.documents()[0]["id"]
        (self._folder / name).write_text(re.sub(r'(?<="documentid": ")[^"]+', document, found), "utf-8")

    def write(self, name: str, content: dict[str, Any]) -> None:
        path = self._folder / name
        path.write_text(json.dumps(content), "utf-8")
        path.chmod(0o600)

    def type(self, command: str) -> None:
        """Run a command, which has to end well."""
        # The sandbox of the pages is this one.
        command = command.replace("127.0.0.1:8722", urlsplit(self._sandbox.ivesk_url).netloc).replace(".venv/bin/", "")
        if command.startswith("export "):
            for name, value in re.findall(r"(\w+)=(\S+)", command):
                if value != "..." and name not in self._environment:
                    self._environment[name] = value
            return
        if command.endswith("&") or word(command) == "ap-sandbox":
            self._serve(command.rstrip("& ").removeprefix(".venv/bin/"))
            return
        done = subprocess.run(
            # What is read by `head` alone does not end well, and need not.
            ["bash", "-c", command if "| head" in command else f"set -o pipefail; {command}"],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            timeout=120,
            text=True,
        )
        status, said = next((how for start, how in STATUSES.items() if command.startswith(start)), (0, ""))
        assert done.returncode == status, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        assert said in done.stdout + done.stderr, command
        if "--discover >" in command:
            self._select()
        if "REPORT_PATH=output/rejects.xlsx" in command:
            self._correct()

    def _select(self) -> None:
        """Edit the catalog, as the page of tap-saft says: what Vic.ai takes."""
        path = self._folder / "catalog.json"
        catalog = json.loads(path.read_text("utf-8"))
        for stream in catalog["streams"]:
            wanted = stream["tap_stream_id"] in {"accounts", "vendors", "vat_codes", "dimensions"}
            stream["metadata"] = [{"breadcrumb": [], "metadata": {"selected": wanted}}]
        path.write_text(json.dumps(catalog), "utf-8")

    def _correct(self) -> None:
        """Correct the list, as the recipe says."""
        path = self._folder / "output/vendors.xlsx"
        book = openpyxl.load_workbook(path)
        assert book.active
        assert (book.active["G4"].value, book.active["B5"].value) == ("45 dager", "22.11.2026")
        book.active["G4"], book.active["B5"] = "30 dager netto", datetime(2026, 11, 22)
        book.save(path)
        # Or in the sheet of what was set aside.
        path = self._folder / "output/rejects.xlsx"
        book = openpyxl.load_workbook(path)
        assert book.active
        changed = {"45 dager": "30 dager netto", "22.11.2026": "2026-11-22T00:00:00"}
        for cell in (cell for row in book.active.iter_rows(min_row=2, min_col=9) for cell in row):
            if str(cell.value) in changed:
                cell.value = changed[str(cell.value)]
        book.save(path)

    def _serve(self, command: str) -> None:
        free = "--port 0 --documents 10 --invoices 10" if word(command) == "ap-sandbox" else ""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command} {free} 2>server.log"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
        )
        assert server.stdout
        assert server.stdout.readline(), f"{command}: {(self._folder / 'server.log').read_text('utf-8')[-1500:]}"
        self._servers.append(server)

    def end(self) -> None:
        """End the servers."""
        for server in self._servers:
            server.terminate()
            server.communicate(timeout=30)


if __name__ == "__main__":
    # A command of others: a target hands on the last STATE, a tap has a list.
    if Path(sys.argv[1]).name.startswith("target-"):
        states = [line for line in map(json.loads, sys.stdin) if line["type"] == "STATE"]
        print(json.dumps(states[-1]["value"] if states else {}))
