"""A STATE goes out when everything before it is settled: never earlier, never out of order."""

from __future__ import annotations

import random

import pytest

from ap_connectors.singer.state_gate import StateGate


class Output:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.syncs = 0

    def sync(self) -> None:
        self.syncs += 1


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def state_gate(output: Output) -> StateGate:
    return StateGate(output.sync, output.lines.append)


def test_at_once_if_nothing_is_open(state_gate: StateGate, output: Output) -> None:
    state_gate.state(b'{"n": 12345678901234567.89}')
    assert output.lines == [b'{"n": 12345678901234567.89}\n']


def test_waits_for_what_came_before(state_gate: StateGate, output: Output) -> None:
    first, second = state_gate.begin(), state_gate.begin()
    state_gate.state(b"1")
    third = state_gate.begin()
    state_gate.ack(second)
    assert output.lines == []
    state_gate.ack(first)
    assert output.lines == [b"1\n"]
    state_gate.state(b"2")
    assert output.lines == [b"1\n"]
    state_gate.ack(third)
    assert output.lines == [b"1\n", b"2\n"]


def test_what_comes_later_holds_nothing_back(state_gate: StateGate, output: Output) -> None:
    first = state_gate.begin()
    state_gate.state(b"1")
    state_gate.begin()
    state_gate.ack(first)
    assert output.lines == [b"1\n"]


def test_of_several_the_last_goes_out(state_gate: StateGate, output: Output) -> None:
    first = state_gate.begin()
    state_gate.state(b"1")
    state_gate.state(b"2")
    state_gate.ack(first)
    assert output.lines == [b"2\n"]


def test_rejects_are_durable_before_a_state_vouches_for_them(state_gate: StateGate, output: Output) -> None:
    seen: list[int] = []
    output.lines = []
    order = StateGate(lambda: seen.append(len(output.lines)), output.lines.append)
    order.state(b"1")
    assert seen == [0]
    assert output.lines == [b"1\n"]


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_of_settling(seed: int) -> None:
    dice = random.Random(seed)
    written: list[bytes] = []
    state_gate = StateGate(lambda: None, written.append)
    open_ones: set[int] = set()
    covered: dict[int, set[int]] = {}
    settled: set[int] = set()
    for step in range(300):
        happens = dice.random()
        if happens < 0.45:
            open_ones.add(state_gate.begin())
        elif happens < 0.9 and open_ones:
            number = dice.choice(sorted(open_ones))
            open_ones.remove(number)
            settled.add(number)
            state_gate.ack(number)
        else:
            covered[step] = open_ones | settled
            state_gate.state(str(step).encode())
        states = [int(line) for line in written]
        assert states == sorted(set(states))
        assert not states or covered[states[-1]] <= settled
    for number in sorted(open_ones):
        state_gate.ack(number)
    assert int(written[-1]) == max(covered)
