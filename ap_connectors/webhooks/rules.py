"""Rules: which events run which command, after which pause, how often; and whether the command can be run at all."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from ap_connectors.webhooks import event_kinds
from ap_connectors.webhooks.config_file import (
    UNSET,
    Command,
    PositiveSeconds,
    Seconds,
    Section,
    Text,
    Texts,
    Truth,
    WrongSetting,
    did_you_mean,
    is_close,
)
from ap_connectors.webhooks.inbox import EventSummary

_ALL_OF_A_SERVICE = ("ivesk.*", "vicai.*")

PER_REQUEST = f"vicai.{event_kinds.SYNC}"
"""Vic.ai waits for writes with the id of this very request, so two requests never share a run."""


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One rule, as the settings have it.

    Args:
        on: names of events: `ivesk.on_exported`, `ivesk.on_digitized`, and Vic.ai's own names for its events, such as
            `vicai.invoice_post` (see above); `ivesk.*` and `vicai.*` mean all of a service, unknown ones too.
        job: a job of Meltano; a rule has either this or `run`.
        run: any command (a list, or one line; no shell).
        name: name of its runs, unique; the job or the command unless given.
        cwd: folder to run in; that of the settings unless given.
        companies: only events of these companies (registration codes of ivesk, company ids of payment batches), or of
            none; empty = all events.
        debounce: time without events that a run waits for.
        max_wait: the longest time that it waits; a minute, or `debounce` if that is longer, unless given.
        retries: how often a failed run is retried.
        timeout: the longest time that a run may take; after that it is ended, and counts as failed.
        lock: rules with the same lock never run at the same time; the name unless given.
        per_request: whether each request id gets a run of its own; only those of `syncRequest` unless given.
        documents: whether documents that events only link to (`documentUrl`) are fetched and stored before the command
            begins; needs Vic.ai's credentials.
        env: variables for the command, a list of `NAME=value`; `NAME` alone hands on the receiver's own, such as
            `PGPASSWORD`, which commands do not get otherwise.
    """

    on: Texts = Texts()
    job: Text = ""
    run: Command = Command()
    name: Text = ""
    cwd: Path = Path()
    companies: Texts = Texts()
    debounce: Seconds = Seconds(5)
    max_wait: Seconds = UNSET
    retries: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    timeout: PositiveSeconds | None = None
    lock: Text = ""
    per_request: Truth | None = None
    documents: Truth = Truth(0)
    env: Texts = Texts()

    def __post_init__(self) -> None:
        if not self.on:
            raise WrongSetting("has no `on`: the events that it is for, such as ivesk.on_exported.")
        for index, event in enumerate(self.on):
            known = (*event_kinds.events(), *_ALL_OF_A_SERVICE)
            # Vic.ai may have more events than are known here, but not ones that are nearly called like them.
            if event not in known and (not event.startswith("vicai.") or is_close(event, known)):
                raise WrongSetting(f"there is no event {event!r}.{did_you_mean(event, known)}", "on", index)
        if bool(self.job) == bool(self.run):
            raise WrongSetting("must have either `job` (a job of Meltano) or `run` (a command).")
        for index, pair in enumerate(self.env):
            if not pair.partition("=")[0].isidentifier():
                raise WrongSetting("must be a list of NAME=value, or NAME.", "env", index)
        if self.max_wait == UNSET:
            self.max_wait = Seconds(max(60.0, self.debounce))
        if self.max_wait < self.debounce:
            raise WrongSetting("must not be shorter than debounce.", "max_wait")
        self.name = self.name or self.job or shlex.join(self.command)
        self.lock = self.lock or self.name

    @property
    def command(self) -> tuple[str, ...]:
        """The program to run, and its arguments."""
        return self.run or ("meltano", "run", self.job)

    @property
    def shown(self) -> str:
        """The name as everyone may see it: where it is the command line, the program only."""
        return self.name if self.name != shlex.join(self.command) else _program(self.command)

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables for the command."""
        pairs = (pair.partition("=") for pair in self.env)
        return {name: value if mark else os.environ.get(name, "") for name, mark, value in pairs}

    def wants(self, service: str, kind: str, company: str | None) -> bool:
        """Return whether the rule is for an event."""
        return event_kinds.is_wanted(service, kind, self.on) and (
            not self.companies or company is None or company in self.companies
        )

    def request_of(self, service: str, kind: str, request_id: str | None) -> str | None:
        """Return the request id that an event's run is for; None where events share a run."""
        separate = f"{service}.{kind}" == PER_REQUEST if self.per_request is None else self.per_request
        return request_id if separate else None


def read(section: Section, folder: Path) -> tuple[Rule, ...]:
    """Read a list of rules; relative folders in them start at `folder`.

    Raises:
        Stop: something is wrong; the message says in which line.
    """
    rules: list[Rule] = []
    for item in section.items("a rule"):
        rule = item.read(Rule)
        rule.cwd = folder / rule.cwd
        for other in rules:
            if rule.name == other.name or (rule.command, rule.cwd) == (other.command, other.cwd):
                raise item.wrong(f"two rules run {rule.shown!r}; put all events into the `on` of one of them.")
        rules.append(rule)
    return tuple(rules)


def shown(name: str, rules: Sequence[Rule]) -> str:
    """Return the name of a run's rule as everyone may see it; a rule that is not configured now may be a command."""
    found = next((rule for rule in rules if rule.name == name), None)
    return found.shown if found else _program(tuple(name.split()))


def _program(command: Sequence[str]) -> str:
    """Return the program of a command, as its arguments may be secret; those of `meltano run` are names of jobs."""
    if len(command) < 2 or command[:2] == ("meltano", "run"):
        return " ".join(itertools.takewhile(lambda word: not word.startswith("-"), command))
    return f"{command[0].rpartition('/')[2]} ..."


def matching(rules: Sequence[Rule], event: EventSummary) -> list[tuple[Rule, str | None]]:
    """Return the rules that want an event, each with the request id that its run is for."""
    wanting = (rule for rule in rules if rule.wants(event.service, event.kind, event.company))
    return [(rule, rule.request_of(event.service, event.kind, event.request_id)) for rule in wanting]


def search_path(own: str | None) -> str:
    """Return where programs are looked for: a service has no environment activated, but `meltano` is beside us."""
    return os.pathsep.join(part for part in (own, str(Path(sys.executable).parent)) if part)


def problem_of(rule: Rule) -> str:
    """Return why a rule's command cannot be run; "" if nothing speaks against it."""
    program = rule.command[0]
    if not rule.cwd.is_dir():
        return f"its folder {rule.cwd} does not exist: create it, or correct `cwd`."
    # A relative path starts in the rule's folder.
    place = str(rule.cwd / program) if os.sep in program else program
    if shutil.which(place, path=rule.variables.get("PATH") or search_path(os.environ.get("PATH"))) is None:
        return f"its program {program} is not found: install it for the receiver, or write its whole path."
    return ""


def problems(rules: Sequence[Rule]) -> Iterator[str]:
    """Say of each rule whose command cannot be run why that is."""
    for rule in rules:
        if problem := problem_of(rule):
            yield f"rules: {rule.shown}: {problem} Until then its runs fail, and are retried."
