"""Dagster with its memory in PostgreSQL: runs on any machine; whatever is killed, every company ends up complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from ap_connectors.webhooks.inbox import Delivery, Inbox
from tests import campaign, postgresql
from tests.fleet.conftest import VIC, Fleet
from tests.postgresql import empty_database, needs_postgresql

pytestmark = [needs_postgresql, pytest.mark.campaign, pytest.mark.long]

BIN = Path(sys.executable).parent
COUNT = 4


class Machine:
    """A machine: a DAGSTER_HOME of its own, and processes that share only the database and the fleet's folder."""

    def __init__(self, fleet: Fleet, name: str, storage: str) -> None:
        self.home = fleet.folder / name
        self.home.mkdir()
        settings: dict[str, Any] = {
            "storage": {"postgres": {"postgres_url": storage}},
            "telemetry": {"enabled": False},
            "run_coordinator": {
                "module": "dagster.core.run_coordinator",
                "class": "QueuedRunCoordinator",
                "config": {"dequeue_interval_seconds": 1},
            },
            "run_monitoring": {"enabled": True, "poll_interval_seconds": 5, "start_timeout_seconds": 60},
            "run_retries": {"enabled": True, "max_retries": 3, "retry_on_asset_or_op_failure": False},
        }
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(settings), "utf-8")
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "AP_FLEET_COMPANIES": str(fleet.path),
            "PYTHONPATH": str(postgresql.ROOT),
        }

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command of Dagster in a group of its own."""
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=self.home,
                env=self.environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def python(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def know_companies(self) -> None:
        self.python(
            "from dagster import DagsterInstance; from ap_connectors.fleet import companies;"
            "from ap_connectors.fleet.dagster import automation, location;"
            "automation.keep_up(DagsterInstance.get(), companies.read(location.place()))"
        )


def test_two_machines_share_nothing_but_database_and_folder(big_fleet: Fleet) -> None:
    """They run the same companies at the same time, some of them both."""
    fleet = big_fleet
    fleet.write(*fleet.companies(COUNT), state=fleet.warehouse)
    storage = empty_database("dagster")
    machines = [Machine(fleet, name, storage) for name in ("one", "two")]
    machines[0].know_companies()
    select = ("asset", "materialize", "-m", "ap_connectors.fleet.dagster", "--select", VIC, "--partition-range")
    processes = [
        machine.start("dagster", *select, companies)
        for machine, companies in zip(machines, ("c1...c3", "c2...c4"), strict=True)
    ]
    ends = [process.wait(timeout=240) for process in processes]
    assert ends == [0, 0], [(machine.home / "log").read_text("utf-8")[-3000:] for machine in machines]
    assert [fleet.differences(number) for number in range(1, COUNT + 1)] == [set()] * COUNT
    with psycopg.connect(storage) as connection:
        found = connection.execute(
            "SELECT partition, count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' "
            "GROUP BY partition ORDER BY partition"
        ).fetchall()
    assert found == [("c1", 1), ("c2", 2), ("c3", 2), ("c4", 1)]


class Daemon:
    """A daemon with its code server and its runs; whoever keeps services starts it again when it has ended."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._start()

    def _start(self) -> None:
        self._process = self._machine.start("dagster-daemon", "run", "-m", "ap_connectors.fleet.dagster")

    def tend(self) -> None:
        """Start it again if it has ended."""
        if self._process.poll() is not None:
            self._start()

    def kill(self) -> None:
        """Kill all of it at once, as where a machine has lost its power."""
        for pid in of(self._machine):
            with_pid(os.kill, pid)
        self._process.wait()


def with_pid(how: Callable[[int, int], None], pid: int) -> None:
    with suppress(ProcessLookupError):
        how(pid, signal.SIGKILL)


def of(machine: Machine, word: str = "") -> list[int]:
    """Processes of a machine, by its DAGSTER_HOME in their environment and what their command has in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (path / "environ").read_bytes(), (path / "cmdline").read_bytes()
        except OSError:
            continue
        if f"DAGSTER_HOME={machine.home}\0".encode() in environment and word.encode() in command:
            found.append(int(path.name))
    return found


@campaign.seeds(range(7), sample=0)
def test_killed_at_random_moments(big_fleet: Fleet, seed: int) -> None:
    """Workers, the daemon with all it has started, PostgreSQL, thrice a seed: events alone bring all up to date."""
    fleet, chance = big_fleet, random.Random(seed)
    fleet.write(*fleet.companies(COUNT), state=fleet.warehouse, dagster={"inbox": "{company}.db"})
    inboxes = {number: Inbox(str(fleet.folder / f"c{number}.db")) for number in range(1, COUNT + 1)}
    machine = Machine(fleet, "one", empty_database("dagster"))

    def change(number: int) -> None:
        """Change a company at its service, which tells of it."""
        vic = fleet.of(number).control.vicai
        vic.touch("vendors", count=3, name=f"Ąžuolas {chance.random()}")
        key = str(chance.random())
        inboxes[number].store([Delivery("vicai", "vendor_updated", key, None, None, b"{}")])

    daemon = Daemon(machine)
    try:
        for number in inboxes:
            change(number)
        for _ in range(3):
            time.sleep(chance.uniform(2, 25))
            change(chance.choice(list(inboxes)))
            what = chance.choice(["worker", "fleet", "daemon", "postgresql"])
            if what == "daemon":
                daemon.kill()
            elif what == "postgresql":
                with postgresql.stopped("immediate"):
                    time.sleep(1)
            else:
                for pid in of(machine, "execute_run" if what == "worker" else "ap_connectors.fleet\0")[:1]:
                    with_pid(os.kill, pid)
            daemon.tend()
        change(chance.choice(list(inboxes)))
        left = caught_up(fleet, inboxes, daemon)
    finally:
        daemon.kill()
    for inbox in inboxes.values():
        inbox.close()
    assert left == {}, (machine.home / "log").read_text("utf-8", errors="replace")[-5000:]


@pytest.mark.parametrize("gone", ["machine", "postgresql"])
def test_a_run_is_lost_with_whoever_would_have_told(big_fleet: Fleet, gone: str) -> None:
    """A run that nothing has said the end of: its code server died too, or could not write to the database."""
    fleet = big_fleet
    fleet.write(*fleet.companies(COUNT), state=fleet.warehouse, dagster={"inbox": "inbox.db"})
    machine = Machine(fleet, "one", empty_database("dagster"))
    inbox = Inbox(str(fleet.folder / "inbox.db"))
    inbox.store([Delivery("vicai", "vendor_updated", "k", None, None, b"{}")])
    inbox.close()
    daemon = Daemon(machine)
    try:
        until = time.monotonic() + 300
        while not of(machine, "ap_connectors.fleet\0") and time.monotonic() < until:
            time.sleep(0.1)
        if gone == "machine":
            daemon.kill()
        else:
            with postgresql.stopped("immediate"):
                time.sleep(5)
        left = caught_up(fleet, range(1, COUNT + 1), daemon)
    finally:
        daemon.kill()
    assert left == {}, (machine.home / "log").read_text("utf-8", errors="replace")[-5000:]


def caught_up(fleet: Fleet, numbers: Iterable[int], daemon: Daemon, seconds: float = 600) -> dict[int, set[str]]:
    """Wait until all companies are up to date; return what is missing of those that are not."""
    until = time.monotonic() + seconds
    while (left := {number: found for number in numbers if (found := behind(fleet, number))}) and (
        time.monotonic() < until
    ):
        time.sleep(2)
        daemon.tend()
    return left


def behind(fleet: Fleet, number: int) -> set[str]:
    """What of a company is not in the warehouse as it is at its service; names of vendors are compared, too."""
    try:
        found = fleet.differences(number)
        names = {
            (str(one["internalId"]), str(one["name"])) for one in fleet.of(number).control.vicai.records("vendors")
        }
        rows = fleet.rows(f"SELECT \"internalId\", name FROM vicai.vendors WHERE company = 'c{number}'")
    except psycopg.Error as error:
        return {str(error)}
    return found | ({"names"} if {(str(id_), str(name)) for id_, name in rows} != names else set())
