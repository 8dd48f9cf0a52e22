"""Requests at once: as many as the rate limit has use for at the service's distance, and fewer when it is busy."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest

from ap_connectors.http.concurrency import LEAST, MOST, AdaptiveConcurrency
from ap_connectors.http.rate_limit import RateLimit
from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Target, load, target, vicai
from tests.vicai.scripted import Asked, Said, granting, serving

__all__ = ["target", "vicai"]

RATE = 50.0


def after(
    seconds: float, answers: int = 200, *, limit: AdaptiveConcurrency | None = None, kind: str = "PUT"
) -> AdaptiveConcurrency:
    """What is allowed after so many answers."""
    limit = limit or AdaptiveConcurrency(RATE)
    for _ in range(answers):
        limit.answered(kind, seconds)
    return limit


@pytest.mark.parametrize(
    ("seconds", "allowed"),
    [(0.001, LEAST), (0.015, LEAST), (0.05, 25), (0.1, 50), (0.3, MOST), (0.8, MOST), (30, MOST)],
)
def test_the_farther_the_more(seconds: float, allowed: int) -> None:
    assert after(seconds).allowed == allowed
    # The very first answers tell.
    assert after(seconds, 1).allowed == allowed


def test_a_generous_limit_needs_more_and_a_narrow_one_less() -> None:
    for rate, allowed in ((500.0, MOST), (5.0, LEAST)):
        limit = AdaptiveConcurrency(rate)
        for _ in range(50):
            limit.answered("PUT", 0.1)
        assert limit.allowed == allowed


def test_fewer_when_answers_slow_down_and_more_when_they_no_longer_do() -> None:
    limit = after(0.3)
    seen = [limit.allowed]
    for _ in range(20):
        after(0.9, limit.allowed, limit=limit)
        seen.append(limit.allowed)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == LEAST, "what a slow service gets is what it always got"
    assert after(0.3, 400, limit=limit).allowed == MOST


def test_a_service_that_fails_gets_fewer() -> None:
    limit = after(0.3)
    limit.failed()
    after(0.3, MOST, limit=limit)
    assert limit.allowed == 48


def test_calls_that_take_long_by_themselves_are_no_sign() -> None:
    """Uploads take longer than looks, and the first look does not make an upload slow."""
    limit = AdaptiveConcurrency(RATE)
    for _ in range(300):
        limit.answered("GET", 0.1)
        limit.answered("POST", 2.0)
    assert limit.allowed == MOST
    assert after(0.004, 500, limit=AdaptiveConcurrency(RATE)).allowed == LEAST


def test_what_is_under_way_is_what_is_allowed() -> None:
    """Threads enough for all; an answer lets the next one go."""
    limit, lock, going = RateLimit(500, 10, adapts=True), threading.Lock(), Counter[str]()

    def ask() -> None:
        with limit.slot("GET"):
            with lock:
                going["now"] += 1
                going["most"] = max(going["most"], going["now"])
            time.sleep(0.05)
            with lock:
                going["now"] -= 1

    threads = [threading.Thread(target=ask) for _ in range(120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 0 < going["most"] <= MOST
    assert going["now"] == 0


@one_in(2)
@pytest.mark.parametrize(("setting", "most"), [("auto", MOST), ("5", 5), (20, 20)])
def test_a_load_from_afar(target: Target, setting: str | int, most: int) -> None:
    """Each answer takes 0.3 s: eight at once would not use the limit."""
    lock, going = threading.Lock(), Counter[str]()

    def answer(asked: Asked) -> Said:
        if asked.path == "/healthCheck":
            time.sleep(0.3)
            return Said({"company": "A"})
        if asked.method == "GET":
            return Said([]) if asked.path == "/vatCodes" else Said({}, 404)
        with lock:
            going["now"] += 1
            going["most"] = max(going["most"], going["now"])
        time.sleep(0.3)
        with lock:
            going["now"] -= 1
        body: Record = json.loads(asked.body)
        return Said({**body, "externalId": asked.path.rpartition("/")[2], "internalId": asked.path}, 201)

    at = {"externalUpdatedAt": "2026-01-01T00:00:00"}
    numbers = range(3 * most // 2 + 10)
    codes = [at | {"externalId": f"V{n}", "code": f"V{n}", "description": "PVM", "rate": 1} for n in numbers]
    with serving(granting(answer)) as service:
        more = {"rate_limit": {"requests": 500, "seconds": 10}, "max_concurrency": setting}
        run = target(load("vat_codes", *codes), api_url=service.url, **more)
    assert run.counts("vat_codes")["created"] == len(codes)
    assert going["most"] <= most
    assert going["most"] > min(LEAST, most - 1)
