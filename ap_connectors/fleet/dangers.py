"""What a fleet's file leaves open to silent mistakes: nothing fails, but records may come from the wrong company."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ap_connectors.core.companies import plain_name
from ap_connectors.core.errors import ApError
from ap_connectors.fleet import plugins, values
from ap_connectors.fleet.members import Company, Fleet
from ap_connectors.fleet.results import Danger

_KEYS = ("api_key", "client_id")
_SAME = "have the same {0}, so each gets the records of one company. Look which is wrong."
_ANOTHER = '{0} has the credentials of "{1}", which is what {2} is called here; they look swapped.'
_SEVERAL = "{0}: its credentials are of several companies: {1}. Look which are wrong."
UNCHECKED = "no_expected_company"
_FEW = 4
"""Fewer companies than so many are named, though it be all."""
_EACH: Mapping[str, str] = {
    "no_company_codes": "No company_codes for tap-ivesk, so documents of another account would not be noticed",
    UNCHECKED: "No expected_company, so credentials of another company would not be noticed",
    "idle_expected_company": "expected_company has no effect without a pipeline of Vic.ai",
}
"""What may be so for each of many: it is said once for all of them."""


def found(fleet: Fleet, owners: Mapping[str, Collection[str]]) -> list[Danger]:
    """Return what is dangerous.

    Args:
        fleet: that is checked.
        owners: whose the credentials are, as the services say, by the companies that were checked.
    """
    dangers = [
        Danger("several_owners", (id_,), _SEVERAL.format(fleet.company(id_).called, ", ".join(sorted(names))))
        for id_, names in owners.items()
        if len(names) > 1
    ]
    for name, those in _same(fleet):
        if owners.keys() & {one.id for one in those}:
            message = f"{' and '.join(one.called for one in those)} {_SAME.format(name)}"
            dangers.append(Danger(f"same_{name}", tuple(one.id for one in those), message))
    companies = [company for company in fleet.companies if company.id in owners]
    dangers += of_others(fleet, companies, owners)
    for kind, words in _EACH.items():
        dangers += [Danger(kind, (one.id,), f"{words}: {one.called}.") for one in companies if _is(kind, fleet, one)]
    return dangers


def lines(fleet: Fleet, dangers: Sequence[Danger], checked: int) -> Iterator[str]:
    """Yield dangers for people, each in a line.

    Args:
        fleet: that was checked.
        dangers: that were found.
        checked: how many companies were.
    """
    yield from (one.message for one in dangers if one.kind not in _EACH)
    for kind, words in _EACH.items():
        if those := [fleet.company(id_).called for one in dangers if one.kind == kind for id_ in one.companies]:
            yield f"{words}: {', '.join(those) if len(those) < max(checked, _FEW) else f'all {checked} companies'}."


def of_others(fleet: Fleet, companies: Sequence[Company], owners: Mapping[str, Collection[str]]) -> Iterator[Danger]:
    """Yield whose credentials are, by their name, those of another company of the file."""
    called: dict[str, Company] = {}
    for company in fleet.companies:
        for name in filter(None, (company.name, company.expected_company)):
            called.setdefault(plain_name(name), company)
    for company in companies:
        own = {plain_name(company.name), plain_name(company.expected_company)}
        for name in owners[company.id]:
            other = called.get(plain_name(name), company)
            if other is not company and plain_name(name) not in own:
                message = _ANOTHER.format(company.called, name, other.called)
                yield Danger("owner_is_another", (company.id, other.id), message)


def _same(fleet: Fleet) -> list[tuple[str, list[Company]]]:
    """Return which companies have the same key: its setting, and them.

    Companies of one account of Įvesk are told apart by `company_codes`.
    """
    having: dict[tuple[str, Any], dict[str, Company]] = {}
    for company in fleet.companies:
        for settings in _settings(fleet, company):
            for name in _KEYS:
                key = _content(settings.get(name))
                if key:
                    having.setdefault((name, key), {})[company.id] = company
    return [
        (name, list(those.values()))
        for (name, _), those in having.items()
        if len(those) > 1 and not (name == "api_key" and _are_apart(those.values()))
    ]


def _settings(fleet: Fleet, company: Company) -> Iterator[Mapping[str, Any]]:
    for name in company.pipelines:
        pipeline = fleet.pipeline(name)
        for plugin in pipeline.plugins:
            yield fleet.settings_of(company, pipeline, plugin)


def _content(value: Any) -> Any:
    """Return what two settings that mean the same secret have in common; a command is not run once more."""
    if isinstance(value, values.Command):
        return tuple(value.words)
    # What cannot be read is told where it is used.
    with contextlib.suppress(ApError, OSError, UnicodeDecodeError):
        if isinstance(value, values.File):
            return Path(value.path).read_text(encoding="utf-8").strip()
        return values.fetched(value, "a key", []) if isinstance(value, str) else None
    return None


def _are_apart(companies: Collection[Company]) -> bool:
    codes = [one.codes for one in companies]
    return all(codes) and sum(map(len, codes)) == len(set().union(*codes))


def _is(kind: str, fleet: Fleet, company: Company) -> bool:
    if kind == "no_company_codes":
        of_ivesk = [fleet.pipeline(name) for name in company.pipelines if fleet.pipeline(name).tap == "tap-ivesk"]
        return any(not fleet.settings_of(company, one, one.tap).get("company_codes") for one in of_ivesk)
    asking = [
        fleet.settings_of(company, pipeline, plugin)
        for pipeline in map(fleet.pipeline, company.pipelines)
        for plugin in pipeline.plugins
        if plugins.has(plugin, "expected_company")
    ]
    if kind == UNCHECKED:
        return any(not settings.get("expected_company") for settings in asking)
    return bool(company.expected_company) and not asking
