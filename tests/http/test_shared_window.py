"""The rate limit that processes share: what the service counts of all of them together."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ap_connectors.http import rate_limit
from ap_connectors.http.rate_limit import RateLimit, SharedWindow

MOST, SECONDS = 25, 0.4


def _send(folder: str, number: int, requests: int) -> None:
    """Be a process that sends requests from several threads, and writes down when each may have been counted."""
    limit = RateLimit(MOST, SECONDS, shared=SharedWindow(Path(folder) / "window"))
    counted: list[tuple[float, float]] = []

    def send(n: int) -> None:
        with limit.slot():
            sent = time.monotonic()
            time.sleep(n * 7919 % 13 / 2000)
            counted.append((sent, time.monotonic()))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(send, range(requests)))
    (Path(folder) / f"{number}.json").write_text(json.dumps(counted), encoding="utf-8")


def test_no_window_holds_too_many_of_all_processes(tmp_path: Path) -> None:
    """Whenever between sending and answer the service counts each: here at the times that lie closest together."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_send, args=(str(tmp_path), number, 30)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    spans = [tuple(span) for path in tmp_path.glob("*.json") for span in json.loads(path.read_text(encoding="utf-8"))]
    assert len(spans) == 120
    spans.sort()
    # The answer of a request to the sending of the request that comes a whole window's worth later.
    ends = sorted(end for _, end in spans)
    assert all(later[0] - end >= SECONDS for end, later in zip(ends, spans[MOST:], strict=False))


def test_a_process_that_was_killed_gives_its_place_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_LEASE", 0.2)
    first, second = (SharedWindow(tmp_path / "window") for _ in range(2))
    assert first.take(1) == (1, 0.0)
    place, wait = second.take(1)
    assert place == -1
    assert 0 < wait <= 0.2
    time.sleep(wait)
    assert second.take(1) == (1, 0.0)


def test_a_429_holds_all_processes(tmp_path: Path) -> None:
    one, other = (RateLimit(5, 0.1, shared=SharedWindow(tmp_path / "window")) for _ in range(2))
    began = time.monotonic()
    one.hold(0.3)
    with other.slot():
        assert time.monotonic() - began >= 0.3


def test_times_from_before_the_machine_started_do_not_count(tmp_path: Path) -> None:
    window = SharedWindow(tmp_path / "window")
    window.hold(time.monotonic() + 1e9)
    assert window.take(1) == (1, 0.0)
    window.hold(time.monotonic() + 60)
    assert window.take(1)[0] == -1


def test_accounts_have_files_of_their_own_that_do_not_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(rate_limit.FOLDER, raising=False)
    assert rate_limit.shared_window("acme", "api.no.vic.ai") is None
    monkeypatch.setenv(rate_limit.FOLDER, str(tmp_path / "limits"))
    for account, host in (("acme", "api.no.vic.ai"), ("acme", "api.us.vic.ai"), ("beta", "api.no.vic.ai")):
        assert rate_limit.shared_window(account, host)
    names = os.listdir(tmp_path / "limits")  # noqa: PTH208 - names only
    assert len(names) == 3
    assert not any("acme" in name or "beta" in name for name in names)
