"""The command: start, flags, refusals, and how it stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal

import pytest
import requests

from ap_connectors.sandbox.process import Control, SandboxError, SandboxProcess
from tests.campaign import one_in
from tests.sandbox.emulated import page

COMMAND = [sys.executable, "-m", "ap_connectors.sandbox"]


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, encoding="utf-8", timeout=20, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_the_command_says_one_line_and_serves() -> None:
    with SandboxProcess(3, api_key="secret-1", from_is="inclusive", extra_fields=True, link_seconds=0.5) as sandbox:
        assert sandbox.line.startswith(f"ap-sandbox: {sandbox.url}  ivesk at /ivesk/api ")
        assert "3 documents" in sandbox.line
        assert "secret-1" not in sandbox.line
        assert "approvalstage" in page(sandbox, "digitized")["documents"][0]
        options = sandbox.control.options()
        assert (options["from_is"], options["extra_fields"], options["link_seconds"]) == ("inclusive", True, 0.5)
        big = options["big_amounts"], sandbox.control.vicai.overview(sums=False)["options"]["big_amounts"]
        assert big == (True, True)
        url = sandbox.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_amounts_look_real_unless_the_command_is_told_otherwise() -> None:
    child = subprocess.Popen([*COMMAND, "--port=0", "--documents=200"], stdout=subprocess.PIPE)
    try:
        assert child.stdout
        control = Control(child.stdout.readline().split()[1].decode())
        totals = [document["total"] for document in control.documents("digitized")]
        totals += [Decimal(invoice["totalAmount"]) for invoice in control.vicai.records("invoices")]
        assert len(totals) == 600
        assert max(map(abs, totals)) < 10**9
    finally:
        child.kill()
        child.communicate()


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = refused("--port", str(port))
    assert status == 1
    assert said.count("\n") == 1
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org"])
def test_only_this_machine_is_served(host: str) -> None:
    status, said = refused("--host", host)
    assert status == 2
    assert host in said


@pytest.mark.long
def test_a_wrong_option_is_refused() -> None:
    assert refused("--from-is", "maybe")[0] == 2
    assert "from 1 to 999" in refused("--companies", "0")[1]
    with pytest.raises(SandboxError, match="--page-size"):
        SandboxProcess(1, page_size=0)


@one_in(2)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_quietly_and_soon_even_in_the_middle_of_a_call(number: int) -> None:
    child = subprocess.Popen([*COMMAND, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stdout
        url = child.stdout.readline().split()[1].decode()
        requests.post(f"{url}/_control/faults", json={"kind": "slow", "seconds": 30}, timeout=10)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as waiting:
            waiting.sendall(b"GET /ivesk/api/pub/exported HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
            os.kill(child.pid, number)
            out, errors = child.communicate(timeout=10)
        assert (out, errors, child.returncode) == (b"", b"", 0)
    finally:
        child.kill()


@pytest.mark.long
def test_it_starts_with_many_documents() -> None:
    with SandboxProcess(100_000) as sandbox:
        assert sandbox.control.ivesk(sums=False)["digitized"]["count"] == 100_000
        assert len(page(sandbox, "digitized")["documents"]) >= 100
