"""Records that a list shows behind newer ones: both readers, killed on any page, lose none and double none."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import SETTLES, Bookmark, Page, key_of
from ap_connectors.core.raw_json import Record, text
from ap_connectors.ivesk import queue
from ap_connectors.vicai import cursors
from ap_connectors.vicai.changes import ChangeReader
from tests.campaign import seeds

# All of it was changed "a moment ago".
BASE = instants.milliseconds("2199-01-01T00:00:00Z")


HOUR = 3_600_000


@dataclass
class Service:
    """A list of records, of which each appears at a step of its own; a page ends where it must, or with an instant."""

    dice: random.Random
    steps: int = 4
    step: int = 0
    held: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.span = span = self.dice.choice([50, 2_000, 60_000, 150_000])
        self.says_time = self.dice.random() < 0.5
        self.size, self.counts, self.inclusive = (self.dice.choice(one) for one in ([3, 7, 20], [0, 1], [0, 1]))
        for number in range(self.dice.choice([5, 40, 120])):
            moment = BASE + self.dice.randrange(span)
            if self.held and self.dice.random() < 0.3:
                moment = self.held[-1][0]
            appears = (moment - BASE) * self.steps // span
            # Each step is a run; what appears later than that may be newer than the record by less than `SETTLES`.
            while appears < self.steps - 1 and self.dice.random() < 0.2:
                if BASE + (appears + 1) * span // self.steps - moment > SETTLES - 20_000:
                    break
                appears += 1
            self.held.append((moment, f"k{number}", appears))
        self.held.sort()

    def since(self, asked: str | None) -> list[tuple[int, str]]:
        start = instants.milliseconds(asked) + 1 - self.inclusive if asked else 0
        return [(moment, key) for moment, key, appears in self.held if appears <= self.step and moment >= start]

    def page(self, query: Mapping[str, str]) -> cursors.Answer:
        """Answer as Vic.ai: a cursor counts, or names the last record."""
        found, cursor = self.since(query.get("since")), query.get("cursor")
        after = int(cursor) if cursor and self.counts else sum(str(one) <= (cursor or "") for one in found)
        until = after + min(self.size, int(query.get("limit", self.size)))
        last = str(until if self.counts else found[until - 1]) if until < len(found) else None
        return cursors.Answer([*map(record, found[after:until])], last)

    def queue_page(self, asked: str) -> queue.Answer:
        """Answer as Įvesk: an instant is whole."""
        found = self.since(asked)
        until = min(self.size, len(found))
        while 0 < until < len(found) and found[until][0] == found[until - 1][0]:
            until += 1
        following = instants.text(found[until - 1][0]) if until < len(found) else None
        return queue.Answer([*map(record, found[:until])], following)

    def now(self) -> int | None:
        return BASE + (self.step + 1) * self.span // self.steps if self.says_time else None


def record(one: tuple[int, str]) -> Record:
    named = {"id": one[1], "at": instants.text(one[0])}
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in named.items()}


def reader(service: Service, kind: str, since: Bookmark) -> Iterable[Page]:
    if kind == "queue":
        return queue.QueueReader(service.queue_page, "at", since, service.now)
    return ChangeReader(
        "list", service.page, since, key=lambda one: key_of(one, "id"), instant_field="at", service_now=service.now
    )


@pytest.mark.parametrize("kind", ["list", "queue"])
@seeds(range(20))
def test_none_is_lost_and_none_is_doubled(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock is an hour behind, and the records' times say it; or ahead, and only the service says it."""
    for number in range(20):
        dice = random.Random(f"{seed} {number}")
        service, bookmark = Service(dice), Bookmark()
        now = (BASE + (HOUR if service.says_time else -HOUR)) * 1_000_000
        monkeypatch.setattr("time.time_ns", lambda now=now: now)
        out: list[str | None] = []
        for step in range(service.steps):
            service.step = step
            for pages_to_a_kill in (dice.randrange(1, 4), dice.randrange(1, 4), 10_000):
                for count, page in enumerate(reader(service, kind, bookmark), start=1):
                    assert count < 2_000, "reading does not end"
                    out += [text(one, "id") for one in page.records]
                    bookmark = Bookmark.from_state(json.loads(json.dumps(page.bookmark.to_state())), None)
                    if count == pages_to_a_kill:
                        break
        assert sorted(map(str, out)) == sorted(key for _, key, _ in service.held), f"{seed} {number}"
