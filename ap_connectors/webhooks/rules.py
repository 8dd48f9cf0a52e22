"""Rules: which event runs which command, and how patiently."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ap_connectors.webhooks.config_file import Entry, did_you_mean
from ap_connectors.webhooks.inbox import EventSummary

EVENTS = (
    "ivesk.on_exported",
    "ivesk.on_digitized",
    "ivesk.notification",
    "vicai.payment_batch_processed",
    "vicai.vendorNew",
    "vicai.invoicePost",
    "vicai.invoiceTransfer",
    "vicai.syncRequest",
)
"""Events by the names that rules give them; `ivesk.*` and `vicai.*` stand for all of a service, unknown ones too."""

PER_REQUEST = "vicai.syncRequest"
"""Vic.ai waits for the writes that carry the id of this very request, so two of them never share a run."""

_WHOLE = ("ivesk.*", "vicai.*")
KEYS = (
    "name",
    "on",
    "job",
    "run",
    "cwd",
    "companies",
    "debounce",
    "max_wait",
    "retries",
    "timeout",
    "lock",
    "per_request",
    "env",
)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        name: of its runs; unique.
        on: names of events.
        command: what is run.
        cwd: where.
        companies: only events of these (events that name none pass); empty = all.
        debounce: seconds of quiet that a run waits for.
        max_wait: seconds that it waits at most.
        retries: how often a failed run is repeated.
        timeout: seconds that it may take, or None.
        lock: rules of one lock never run at once.
        per_request: whether each request id gets a run of its own; None: only syncRequest's.
        env: variables for the command.
    """

    name: str
    on: tuple[str, ...]
    command: tuple[str, ...]
    cwd: Path
    companies: tuple[str, ...]
    debounce: float
    max_wait: float
    retries: int
    timeout: float | None
    lock: str
    per_request: bool | None
    env: Mapping[str, str]

    def wants(self, service: str, kind: str, company: str | None) -> bool:
        """Whether an event is one of its own."""
        named = f"{service}.{kind}" in self.on or f"{service}.*" in self.on
        return named and (not self.companies or company is None or company in self.companies)

    def request_of(self, service: str, kind: str, request_id: str | None) -> str | None:
        """The request id that an event's run is for; None where events share a run."""
        apart = f"{service}.{kind}" == PER_REQUEST if self.per_request is None else self.per_request
        return request_id if apart else None


def read(entry: Entry, folder: Path) -> tuple[Rule, ...]:
    """Read a list of rules; relative folders begin at `folder`.

    Raises:
        Stop: something is wrong; the message says in which line.
    """
    rules: list[Rule] = []
    for item in entry.items():
        rule = _rule(item, folder)
        for other in rules:
            if rule.name == other.name or (rule.command, rule.cwd) == (other.command, other.cwd):
                raise item.wrong(f"two rules run {rule.name!r}; put all events into the `on` of one of them.")
        rules.append(rule)
    return tuple(rules)


def matching(rules: Sequence[Rule], event: EventSummary) -> list[tuple[Rule, str | None]]:
    """Return the rules that want an event, each with the request id that its run is for."""
    wanting = (rule for rule in rules if rule.wants(event.service, event.kind, event.company))
    return [(rule, rule.request_of(event.service, event.kind, event.request_id)) for rule in wanting]


def _rule(item: Entry, folder: Path) -> Rule:
    item.name = "a rule"
    given = item.entries(KEYS)
    if "on" not in given:
        raise item.wrong("has no `on`: the events that it is for, such as ivesk.on_exported.")
    if ("job" in given) == ("run" in given):
        raise item.wrong("must have either `job` (a job of Meltano) or `run` (a command).")
    command = ("meltano", "run", given["job"].text()) if "job" in given else _command(given["run"])
    name = given["name"].text() if "name" in given else command[-1] if "job" in given else shlex.join(command)
    debounce = given["debounce"].seconds() if "debounce" in given else 5.0
    max_wait = given["max_wait"].seconds() if "max_wait" in given else max(60.0, debounce)
    if max_wait < debounce:
        raise given["max_wait"].wrong("must not be shorter than debounce.")
    timeout = given["timeout"].seconds() if "timeout" in given else None
    if timeout is not None and timeout <= 0:
        raise given["timeout"].wrong("must be longer than 0.")
    return Rule(
        name=name,
        on=_events(given["on"]),
        command=command,
        cwd=folder / Path(given["cwd"].text()).expanduser() if "cwd" in given else folder,
        companies=given["companies"].texts() if "companies" in given else (),
        debounce=debounce,
        max_wait=max_wait,
        retries=given["retries"].whole(0, 1000) if "retries" in given else 5,
        timeout=timeout,
        lock=given["lock"].text() if "lock" in given else name,
        per_request=given["per_request"].truth() if "per_request" in given else None,
        env=_environment(given["env"]) if "env" in given else {},
    )


def _command(entry: Entry) -> tuple[str, ...]:
    command = entry.texts() if entry.is_list else tuple(shlex.split(entry.text()))
    if not command:
        raise entry.wrong("is empty.")
    return command


def _events(entry: Entry) -> tuple[str, ...]:
    names = entry.texts()
    known = (*EVENTS, *_WHOLE)
    for item, name in zip(entry.items() if entry.is_list else [entry], names, strict=True):
        if name not in known:
            raise item.wrong(f"there is no event {name!r}.{did_you_mean(name, known)}")
    if not names:
        raise entry.wrong("is empty.")
    return names


def _environment(entry: Entry) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in entry.items():
        name, mark, value = item.text().partition("=")
        if not mark or not name.isidentifier():
            raise item.wrong("must be a list of NAME=value.")
        found[name] = value
    return found
