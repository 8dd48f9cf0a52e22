"""Approve, then apply: `apply_plan` lets the calls of a plan through, and no others.

The plan also says what a record was and what Vic had at the time: if either has changed since, the record is set
aside, before anything of it is written. Each entry is sealed: it may be taken out of the plan, but not changed, nor
brought in from another plan.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.exact import EXACT
from ap_connectors.singer.diff import same_json
from ap_connectors.vicai.settings import address
from target_vicai.approval import PLANNED, Approval, Place, Planning, Work, digest

VERSION = 3
_SEAL = "seal"
_in_order = msgspec.json.Encoder(decimal_format="number").encode
"""Writes members in the order in which people read them."""
_WHICH = ("company", "service", "plan_version", "made_at")
"""Members of a plan that say for whom it was made, and when: that tells it from all others."""


def approval_of(settings: Mapping[str, Any], company: str | None, service: Mapping[str, str]) -> Approval:
    """Return what is told of every record and call: the plan that is made, or the one that was approved.

    Raises:
        Stop: the settings contradict each other, or the plan is of another company.
    """
    plan, apply, dry_run = (settings.get(name) for name in ("plan_path", "apply_plan", "dry_run"))
    if plan and not dry_run:
        raise Stop("plan_path is for a plan: set dry_run to true, too. To apply a plan, set apply_plan instead.")
    if apply and dry_run:
        raise Stop("apply_plan writes, and dry_run does not: set one of them.")
    if apply and settings["compare"] == "none":
        raise Stop("apply_plan looks whether Vic.ai's copy has changed, and compare: none does not look: remove it.")
    return Applying(apply, company, service) if apply else Planning() if plan else Approval()


def service_of(settings: Mapping[str, Any], age: str) -> dict[str, str]:
    """Return what a plan says of the service: where it is, which API it has, and by whose credentials it is asked."""
    return {"address": address(settings), "API": age, "client_id (fingerprint)": digest(settings["client_id"])[:12]}


def sealed(plan: Mapping[str, Any], service: Mapping[str, str]) -> dict[str, Any]:
    """Return a plan to be written, with the seal of each entry that can be applied.

    Args:
        plan: as a dry run has made it.
        service: where it is, and by whose credentials it was asked.
    """
    whole: dict[str, Any] = _read(_in_order({**plan, "plan_version": VERSION, "service": service}))
    for stream, effect, entry in _written(whole):
        entry[_SEAL] = _seal(whole, stream, effect, entry)
    return whole


def _plain(value: Any) -> Any:
    """Return JSON with numbers by their values: 1.20 is 1.2, however a program has written it."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return EXACT.normalize(Decimal(value)) if is_number else value


def _seal(plan: Mapping[str, Any], stream: str, effect: str, entry: Mapping[str, Any]) -> str:
    """Return the fingerprint of an entry as it stands in a plan."""
    members = {name: value for name, value in entry.items() if name != _SEAL}
    return digest(_plain([{name: plan.get(name) for name in _WHICH}, stream, effect, members]))


def _read(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal)


def _written(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield stream, effect and entry of what a plan writes."""
    for stream, effects in plan["plan"].items():
        for effect in ("created", "updated", "deleted"):
            for entry in effects.get(effect, ()):
                yield stream, effect, entry


class Applying(Approval):
    """Lets the calls of a plan through, and no others.

    Args:
        path: of the plan, as `plan_path` wrote it; entries may have been removed from it.
        company: whose credentials these are.
        service: where it is, and by whose credentials it is asked (see `TargetVicai`).

    Raises:
        Stop: it is not a plan, was changed, or is for another company or service.
    """

    is_used = True

    def __init__(self, path: str, company: str | None, service: Mapping[str, str]) -> None:
        super().__init__()
        self._path, self._said = path, f"apply_plan: {path}"
        self._approved: dict[Place, list[dict[str, Any]]] = defaultdict(list)
        self._refused: set[Place] = set()
        plan = self._plan()
        self._require_ours(plan, company, service)
        for stream, effect, entry in _written(plan):
            place = stream, str(entry["key"])
            if entry.get(_SEAL) != _seal(plan, stream, effect, entry):
                raise Stop(
                    f"{self._said} was changed after it was made, at {stream} {place[1]}. Nothing was loaded. Entries "
                    "may be taken out of a plan, but not changed: correct the input, and make a new plan."
                )
            self._approved[place].append(entry["approve"])

    def _plan(self) -> dict[str, Any]:
        try:
            plan: dict[str, Any] = _read(Path(self._path).read_bytes())
            if plan["plan_version"] == VERSION:
                # All that is read later. The seal covers the rest of an entry.
                list(map(plan.__getitem__, _WHICH))
                for _, _, entry in _written(plan):
                    entry["key"], entry["approve"]["calls"]
        except OSError as error:
            raise Stop(f"{self._said} cannot be read: {error.strerror or type(error).__name__}.") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Stop(
                f"{self._said} is not a plan, or not all of it. Make one: set dry_run to true and plan_path to a file "
                "whose name ends in .json."
            ) from None
        if plan["plan_version"] != VERSION:
            raise Stop(f"{self._said} was made by another version of target-vicai. Make a new plan.")
        return plan

    def _require_ours(self, plan: Mapping[str, Any], company: str | None, service: Mapping[str, str]) -> None:
        if plan["company"] != company:
            raise Stop(
                f'{self._said} is a plan for "{plan["company"]}"; the credentials are of "{company}". Nothing was '
                "loaded. Take the right plan, or set the right credentials."
            )
        theirs = plan["service"] if isinstance(plan["service"], dict) else {}
        if differs := [name for name, value in service.items() if theirs.get(name) != value]:
            told = ", ".join(f"{name} {theirs.get(name)}, and now {service[name]}" for name in differs)
            raise Stop(
                f"{self._said} was made for another service or with other credentials: {told}. Nothing was loaded. "
                "Take the right plan, or make a new one."
            )

    def _check(self, work: Work, made: dict[str, Any], *, is_file: bool) -> None:
        stream, key = work.place
        said = {"stream": stream, "key": key}
        entries = self._approved.get(work.place, [])
        same = [entry for entry in entries if entry["record"] == work.record]
        if any(self._allows(entry, work, made, is_file=is_file) for entry in same):
            return
        self._refused.add(work.place)
        again = "Make a new plan, and have it approved."
        if not entries:
            raise Reject(f"The plan ({self._path}) does not write this. {again}", "not_in_plan", **said)
        if not same:
            message = f"The record is not the one that was approved. {again}"
            raise Reject(message, "not_as_approved", **said)
        if not work.calls and any(self._is_as_planned(entry, work) for entry in same):
            message = f"What would be sent is not what was approved: other settings, or what it refers to. {again}"
            raise Reject(message, "not_as_approved", **said)
        message = f"Vic.ai's copy has changed since the plan was made; nothing was written. {again}"
        raise Reject(message, "changed_since_plan", **said)

    def _is_as_planned(self, entry: Mapping[str, Any], work: Work) -> bool:
        """Return whether Vic has what it had when the plan was made."""
        if entry.get("follows"):
            return work.place in self._done and work.place not in self._refused
        return bool(entry["at_vicai"] == work.present)

    def _allows(self, entry: Mapping[str, Any], work: Work, made: dict[str, Any], *, is_file: bool) -> bool:
        calls = entry["calls"]
        if not calls:
            # A plan sends no files, so it does not know of the calls that do.
            return is_file
        if entry.get("follows"):
            made = _without_what_stays(made, calls, work.copy)
        place = next((number for number, one in enumerate(calls) if _fits(one, made)), None)
        # A later step of a record whose first steps an earlier run has taken finds Vic's copy changed by these.
        return place is not None and (place > 0 or bool(work.calls) or self._is_as_planned(entry, work))

    def not_done(self) -> list[Place]:
        """Return what the plan has and no record of this run was about."""
        return sorted(self._approved.keys() - self._met)


def _without_what_stays(made: dict[str, Any], calls: list[dict[str, Any]], copy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call without the members of its body that no approved one has, and that are as Vic has them.

    What Vic fills in when it gets the first state of a record, the plan could not know, and the next state keeps.
    """
    body = made["body"]
    if not isinstance(body, Mapping):
        return made
    approved = {name for one in calls if isinstance(one["body"], Mapping) for name in one["body"]}
    kept = {name: value for name, value in body.items() if name in approved or not same_json(value, copy.get(name))}
    return {**made, "body": kept}


def _fits(approved: Any, made: Any) -> bool:
    """Return whether a call is the approved one.

    An id that the plan made up stands for the one that Vic gave to what the record names by its natural key.
    """
    if isinstance(approved, str) and approved.startswith(PLANNED) and isinstance(made, str):
        return True
    if isinstance(approved, dict) and isinstance(made, Mapping):
        return approved.keys() == made.keys() and all(_fits(value, made[name]) for name, value in approved.items())
    if isinstance(approved, list) and isinstance(made, list | tuple):
        return len(approved) == len(made) and all(map(_fits, approved, made))
    return same_json(approved, made)
