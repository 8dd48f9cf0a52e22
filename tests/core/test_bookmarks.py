"""How far something was read: nothing twice, nothing forgotten too early, and through a state file unchanged."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ap_connectors.core.bookmarks import Bookmark, DedupWindow, key_of
from ap_connectors.core.errors import Stop
from ap_connectors.core.instants import LOCAL, UTC, Clock
from ap_connectors.core.raw_json import Record

T0, T1, T2 = "2026-01-05T10:00:00.000Z", "2026-01-05T10:00:00.001Z", "2026-01-05T10:00:00.002Z"


def record(**fields: object) -> Record:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def again(bookmark: Bookmark, clock: Clock = UTC) -> Bookmark:
    return Bookmark.from_state(json.loads(json.dumps(bookmark.to_state())), None, clock)


def show(window: DedupWindow, key: str, at: str | None) -> bool:
    return window.is_new(key, window.place(record(at=at), "at"))


class TestWindow:
    def test_nothing_is_shown_twice(self) -> None:
        window = DedupWindow(Bookmark())
        assert [show(window, "a", T0), show(window, "a", T0), show(window, "b", T0)] == [True, False, True]
        assert show(window, "a", T1)
        assert [show(window, key, at) for key, at in (("a", T1), ("a", T0), ("b", T0))] == [False] * 3

    def test_asks_from_a_millisecond_before(self) -> None:
        window = DedupWindow(Bookmark())
        assert window.ask() is None
        show(window, "a", T1)
        assert window.ask() == T0
        show(window, "b", T0)
        assert window.ask() == T0

    def test_goes_on_through_a_state(self) -> None:
        window = DedupWindow(Bookmark())
        for key, at in (("a", T0), ("b", T1), ("c", T1), ("d", T2)):
            show(window, key, at)
        window = DedupWindow(again(window.bookmark()))
        assert window.ask() == T1
        # Older than what is asked for: forgotten. The newest and the millisecond before it: remembered.
        assert [show(window, key, at) for key, at in (("b", T1), ("c", T1), ("d", T2))] == [False] * 3
        assert show(window, "e", T2)
        assert show(window, "a", T2)

    def test_the_position_keeps_no_more_than_what_comes_again(self) -> None:
        window = DedupWindow(Bookmark())
        for n in range(50):
            show(window, str(n), f"2026-01-05T10:00:{n:02d}.000Z")
            state = window.bookmark().to_state()
        assert state == {
            "replication_key_value": "2026-01-05T10:00:49.000Z",
            "seen": {"2026-01-05T10:00:49.000Z": ["49"]},
            "settled": None,
        }

    def test_texts_of_one_millisecond_are_told_apart(self) -> None:
        window = DedupWindow(Bookmark())
        assert show(window, "a", "2026-01-05T10:00:00.0005Z")
        assert show(window, "a", "2026-01-05T10:00:00.0006Z")
        window = DedupWindow(again(window.bookmark()))
        assert not show(window, "a", "2026-01-05T10:00:00.0005Z")
        assert not show(window, "a", "2026-01-05T10:00:00.0006Z")
        assert show(window, "a", "2026-01-05T10:00:00.0007Z")

    def test_an_instant_that_cannot_be_read_stands_at_the_newest(self) -> None:
        window = DedupWindow(Bookmark())
        show(window, "a", T1)
        for odd in (None, "", "soon"):
            assert window.place(record(at=odd), "at") == (T1, window.newest)
        assert window.place(record(), "at") == (T1, window.newest)
        assert show(window, "b", None)
        assert not show(window, "b", "soon")
        assert window.bookmark().instant == T1

    def test_an_earlier_position_can_be_asked_for(self) -> None:
        window = DedupWindow(Bookmark())
        for key, at in (("a", T0), ("b", T2)):
            show(window, key, at)
        bookmark = window.bookmark((T0, UTC.milliseconds(T0)))
        assert bookmark == Bookmark(T0, {T0: ["a"], T2: ["b"]})

    def test_forgets(self) -> None:
        window = DedupWindow(Bookmark())
        show(window, "a", T0)
        show(window, "b", T1)
        window.forget(UTC.milliseconds(T1))
        assert show(window, "a", T0)
        assert not show(window, "b", T1)

    def test_leaves_out_what_is_before_the_start(self) -> None:
        window = DedupWindow(Bookmark.from_state({}, T1))
        assert window.ask() is None
        assert [show(window, "a", T0), show(window, "b", T1)] == [False, True]
        assert window.bookmark() == Bookmark(T1, {T1: ["b"]}, UTC.milliseconds(T1))

    def test_of_a_wall_clock_has_no_zone(self) -> None:
        window = DedupWindow(Bookmark(), LOCAL)
        show(window, "a", "2026-03-29T02:30:00.5")  # an hour that Oslo skips
        assert window.ask() == "2026-03-29T02:30:00.499"
        window = DedupWindow(again(window.bookmark(), LOCAL), LOCAL)
        assert not show(window, "a", "2026-03-29T02:30:00.5")
        assert window.bookmark().instant == "2026-03-29T02:30:00.5"


class TestLateRecords:
    """What appears after newer things; this machine's clock is behind the service's by an hour."""

    @pytest.fixture(autouse=True)
    def _an_hour_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = UTC.milliseconds("2199-01-05T09:00:00Z") * 1_000_000
        monkeypatch.setattr("time.time_ns", lambda: now)

    def test_a_later_run_begins_before_the_newest(self) -> None:
        window = DedupWindow(Bookmark())
        shown = [
            ("a", "2199-01-05T10:00:00.000Z"),
            ("b", "2199-01-05T10:03:00.000Z"),
            ("c", "2199-01-05T10:04:00.000Z"),
        ]
        assert all(show(window, *one) for one in shown)
        window = DedupWindow(again(window.bookmark()))
        assert "2199-01-05T10:01:50" < (window.ask() or "") < "2199-01-05T10:02:00"
        late = ("late", "2199-01-05T10:02:30.000Z")
        assert show(window, *late)
        # Read to here only: the rest comes again, and is still known.
        window = DedupWindow(again(window.bookmark()))
        assert not any(show(window, *one) for one in (late, *shown[1:]))

    def test_an_hour_later_all_is_settled(self) -> None:
        held = Bookmark(T2, {T0: ["a"], T2: ["b"]}, settled=T0)
        window = DedupWindow(again(held))
        assert window.ask() == "2026-01-05T09:59:59.999Z"
        assert [show(window, key, at) for key, at in (("a", T0), ("late", T1), ("b", T2))] == [False, True, False]
        assert window.bookmark() == Bookmark(T2, {T1: ["late"], T2: ["b"]})

    def test_a_kill_while_that_is_read_again(self) -> None:
        window = DedupWindow(again(Bookmark(T2, {T0: ["a"], T2: ["b"]}, settled=T0)))
        assert not show(window, "a", T0)
        window = DedupWindow(again(window.bookmark()))
        assert window.ask() == "2026-01-05T09:59:59.999Z"
        assert [show(window, key, at) for key, at in (("a", T0), ("late", T1), ("b", T2))] == [False, True, False]

    def test_a_machine_that_sleeps_in_mid_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was read before may lack what appeared meanwhile: the next run reads it again."""
        now = UTC.milliseconds("2199-01-05T10:00:00Z") * 1_000_000
        monkeypatch.setattr("time.time_ns", lambda: now)
        window = DedupWindow(Bookmark())
        assert show(window, "a", "2199-01-05T09:59:59.000Z")
        monkeypatch.setattr("time.time_ns", lambda: now + 3600 * 1_000_000_000)
        assert show(window, "b", "2199-01-05T10:59:59.000Z")
        assert window.bookmark().settled == "2199-01-05T09:58:00.000Z"

    @pytest.mark.parametrize("clock", [UTC, LOCAL])
    @pytest.mark.parametrize("is_served", [True, False])
    def test_a_time_that_has_not_come_hides_nothing(self, clock: Clock, is_served: bool) -> None:
        """A slip of the pen in the ERP, or of the service's clock: what changes from now on still comes, and once."""
        bookmark, zone = Bookmark(), "" if clock.local else "Z"
        now = UTC.milliseconds("2199-01-05T09:00:00Z") if is_served else None
        shown = [("old", f"2199-01-02T08:00:00{zone}"), ("later", f"2299-01-01T00:00:00{zone}")]
        for number in range(3):
            window = DedupWindow(again(bookmark, clock), clock, service_now=lambda: now)
            assert (window.ask() or "") < f"2199-01-05T08:59:00{zone}"
            new = (f"new {number}", f"2199-01-05T08:59:0{number}{zone}")
            assert show(window, *new)
            assert [show(window, *one) for one in shown] == [number == 0] * len(shown)
            shown = [new, *(one for one in shown if one[0] != "old")]
            bookmark = window.bookmark()
            assert bookmark.instant == shown[-1][1]

    def test_a_mass_change_leaves_a_small_state_and_loses_nothing(self) -> None:
        records = [(str(n), f"2199-01-05T10:00:{n // 50:02d}.{n % 50:03d}Z") for n in range(2500)]
        window = DedupWindow(Bookmark())
        assert all(show(window, *one) for one in records)
        bookmark = again(window.bookmark())
        assert sum(map(len, bookmark.seen.values())) <= 1002
        window = DedupWindow(bookmark)
        comes_again = [key for key, at in records if show(window, key, at)]
        assert comes_again == [key for key, _ in records[: len(comes_again)]]
        assert len(comes_again) < 1501

    def test_a_wall_clock_says_nothing_of_it(self) -> None:
        window = DedupWindow(Bookmark(), LOCAL)
        show(window, "a", "2199-01-05T10:00:00")
        assert window.bookmark() == Bookmark("2199-01-05T10:00:00", {"2199-01-05T10:00:00": ["a"]})


class TestState:
    def test_comes_back_as_it_went(self) -> None:
        newest = "2026-01-05T10:00:00.001456Z"
        bookmark = Bookmark(newest, {T0: ["a", 'ą/7 "x"'], T1: ["b"], newest: ["c"]})
        assert again(bookmark) == bookmark
        assert Bookmark().to_state() == {}
        assert again(Bookmark()) == Bookmark()

    def test_a_later_start_date_wins(self) -> None:
        state = Bookmark(T0, {T0: ["a"]}).to_state()
        assert Bookmark.from_state(state, T1) == Bookmark(not_before=UTC.milliseconds(T1))
        assert Bookmark.from_state(state, T0).seen == {T0: ["a"]}
        assert Bookmark.from_state(state, "2025-01-01").instant == T0

    @pytest.mark.parametrize("clock", [UTC, LOCAL])
    def test_without_what_was_seen_is_taken(self, clock: Clock) -> None:
        assert Bookmark.from_state({"replication_key_value": T0}, None, clock) == Bookmark(T0)
        assert Bookmark.from_state({"replication_key_value": T0, "seen": None}, None, clock) == Bookmark(T0)

    @pytest.mark.parametrize("clock", [UTC, LOCAL])
    def test_that_is_no_instant_stops(self, clock: Clock) -> None:
        with pytest.raises(Stop, match="replication_key_value in --state: 'yesterday'"):
            Bookmark.from_state({"replication_key_value": "yesterday"}, None, clock)
        with pytest.raises(Stop, match="start_date: 'soon'"):
            Bookmark.from_state({}, "soon", clock)
        with pytest.raises(Stop, match="seen in --state: 'once'"):
            DedupWindow(Bookmark(T0, {"once": ["a"]}), clock)
        state = {"replication_key_value": T0, "seen": {T0: ["a"]}, "settled": 7}
        with pytest.raises(Stop, match="settled in --state: '7'"):
            DedupWindow(Bookmark.from_state(state, None, clock), clock)

    @pytest.mark.parametrize("seen", [{T1: ["b"]}, {}, None])
    def test_that_was_set_by_hand_begins_there_and_all_comes_again(self, seen: Any) -> None:
        state = Bookmark(T1, {T1: ["b"]}, settled=T1).to_state() | {"replication_key_value": T0, "seen": seen}
        assert Bookmark.from_state(state, None) == Bookmark(T0)


def test_keys() -> None:
    assert key_of(record(id="ą"), "id") == "ą"
    assert key_of(record(id=7), "id") == "7"
    for one in (record(id=None), record()):
        with pytest.raises(Stop, match="has no id, so no key"):
            key_of(one, "id")
