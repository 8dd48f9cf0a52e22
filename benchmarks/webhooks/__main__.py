"""`python -m benchmarks.webhooks`: answer times under load; ends with status 1 if a delivery was lost or refused."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.webhooks.inbox import Inbox
from benchmarks.report import machine
from benchmarks.webhooks.load import SECRET, TOKEN, TOPIC, Answer, certificates, deliveries, send


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--pace", type=float, default=100, help="deliveries a second (100)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (20)")
    parser.add_argument("--inbox", help="URL of an empty database (default: an SQLite file that is removed afterwards)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = parser.parse_args()

    print(machine())
    signer = Signer()
    with tempfile.TemporaryDirectory() as folder, certificates(signer) as sns:
        inbox = chosen.inbox or str(Path(folder) / "webhooks.db")
        requests = deliveries(int(chosen.pace * chosen.seconds), signer, sns)
        with _receiver(inbox, sns) as port:
            send(port, deliveries(20, signer, sns), 20)
            answers = send(port, requests, chosen.pace)
        opened = Inbox(inbox)
        stored = opened.count() - 20
        opened.close()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = sum(200 <= answer.status < 300 for answer in answers)
    print(f"{chosen.pace:g} deliveries a second for {chosen.seconds:g} s; {taken} answered 2XX, {stored} stored")
    # Whoever else works on this machine makes the answers slower, and is not us.
    print(f"receiver: {used.ru_utime + used.ru_stime:.1f} s of CPU; others: load average {os.getloadavg()[0]:.1f}")
    print(f"{'milliseconds':16}{'n':>8}{'p50':>10}{'p99':>10}{'longest':>10}")
    figures: dict[str, list[float]] = {}
    for kind in ("all", *dict.fromkeys(answer.kind for answer in answers)):
        figures[kind] = _spread([answer for answer in answers if kind in {"all", answer.kind}])
        print(f"{kind:16}" + "".join(f"{figure:>{10 if i else 8}g}" for i, figure in enumerate(figures[kind])))
    print(f"aim: p99 below 1000 ms: {'yes' if figures['all'][2] < 1000 else 'no'}")
    if chosen.json:
        chosen.json.write_text(json.dumps({"taken": taken, "stored": stored, "ms": figures}), encoding="utf-8")
    return 0 if taken == len(requests) == stored else 1


@contextmanager
def _receiver(inbox: str, sns: str) -> Iterator[int]:
    given = {"inbox": inbox, "token": TOKEN, "secret": SECRET, "topic": TOPIC, "sns": sns}
    command = [sys.executable, "-m", "benchmarks.webhooks.receiver", json.dumps(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


def _spread(answers: Sequence[Answer]) -> list[float]:
    """Count, median, 99th percentile and longest, in milliseconds."""
    found = sorted(answer.seconds * 1000 for answer in answers)
    places = [len(found) // 2, min(len(found) - 1, len(found) * 99 // 100), -1]
    return [len(found), *(round(found[place], 1) for place in places)]


sys.exit(main())
