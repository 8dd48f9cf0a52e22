"""A batch in a process of its own: for programs that have threads, as an orchestrator has."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from subprocess import DEVNULL, PIPE, Popen

import msgspec

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.fleet.batch import OnResult
from ap_connectors.fleet.members import Fleet
from ap_connectors.fleet.results import Result

RUN = ("ap_connectors.fleet", "run", "--format", "json")
TIE_OUT = ("ap_connectors.fleet.tie_out",)
"""Modules that print a result in each line, and their first arguments."""


def run_batch(
    fleet: Fleet,
    company_ids: Sequence[str] = (),
    pipelines: Sequence[str] = (),
    *,
    jobs: int = 0,
    again: tuple[str, str] | None = None,
    on_result: OnResult | None = None,
) -> list[Result]:
    """Run a batch; return its results.

    Args:
        fleet: whose companies.
        company_ids: of the companies; empty: all.
        pipelines: their names; empty: all that each company has.
        jobs: how many companies at once; 0: twice the processors.
        again: a stream that is read anew, and from when.
        on_result: is told of each result as it comes.

    Raises:
        Stop: nothing could begin. Outage: it was cut off before all was told.
    """
    more = [f"--jobs={jobs}"] if jobs else []
    more += ["--stream", again[0], "--from", again[1]] if again else []
    results = []
    for result in stream(RUN, fleet, company_ids, pipelines, more):
        results.append(result)
        if on_result:
            on_result(result)
    return results


def stream(
    program: Sequence[str],
    fleet: Fleet,
    company_ids: Sequence[str] = (),
    pipelines: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Generator[Result, None, None]:
    """Yield the results of a batch as they come; its process is told to end when the iteration ends early.

    Args:
        program: `RUN`, or `TIE_OUT`.
        fleet: whose companies.
        company_ids: of the companies; empty: all.
        pipelines: their names; empty: all that each company has.
        more: arguments.

    Raises:
        Stop: nothing could begin. Outage: it was cut off before all was told.
    """
    command = [sys.executable, "-m", *program, "--companies", str(fleet.path), *more]
    command += [part for name in company_ids for part in ("--only", name)]
    command += [part for name in pipelines for part in ("--pipeline", name)]
    begun = False
    with Popen(  # noqa: S603 - ourselves
        command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE above
        assert process.stderr is not None  # noqa: S101 - PIPE above
        said: list[bytes] = []
        listener = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        listener.start()
        try:
            for line in process.stdout:
                begun = True
                yield msgspec.convert(json.loads(line), Result, strict=False)
        except BaseException:
            process.terminate()
            raise
        finally:
            status = process.wait()
            listener.join()
    if status in {0, 1}:
        return
    words = b"".join(said).decode(errors="replace").strip() or f"ap-fleet ended with status {status}."
    if status < 0:
        words = f"The batch was killed ({signal.Signals(-status).name}), as when memory runs out; the next run goes on."
    # Without a result of each, who reads on would take the rest for done.
    raise (Outage if begun or status < 0 else Stop)(words)
