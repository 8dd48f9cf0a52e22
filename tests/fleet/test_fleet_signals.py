"""A signal that comes at the worst moment: while a process is forked, or before the batch has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_AT_THE_FORK = """
import os, signal, sys
from ap_connectors.fleet import children

came = []
signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
where = sys.argv[1]
os.register_at_fork(**{f"after_in_{where}": lambda: os.kill(os.getpid(), signal.SIGTERM)})

def work():
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return 4 if blocked else 3

status = os.waitstatus_to_exitcode(os.waitpid(children.fork(work), 0)[1])
print(status, came == [signal.SIGTERM], signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set())
"""
"""The process that is forked says 3 when no signal is blocked in it."""


@pytest.mark.parametrize(("where", "said"), [("child", "-15 False True"), ("parent", "3 True True")])
def test_a_signal_that_comes_while_a_process_is_forked_ends_whom_it_was_for(where: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AT_THE_FORK, where], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (said, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_batch_ends_the_command_in_a_line(tmp_path: Path, number: signal.Signals) -> None:
    """The file is read, for nothing comes out of the pipe that it is."""
    path = tmp_path / "companies.yml"
    os.mkfifo(path)
    command = [sys.executable, "-m", "ap_connectors.fleet", "run", "--companies", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        # It waits until the other side has opened the file, too.
        with path.open("wb"):
            process.send_signal(number)
            status = process.wait(60)
        assert process.stdout
        said = process.stdout.read().decode()
    # Not 1: Dagster would take a batch without results for one in which nothing failed.
    assert (status, said) == (130, "ap-fleet: Interrupted.\n")
