"""What a fleet's file leaves open to silent mistakes: nothing fails, but records may come from the wrong company."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ap_connectors.core.errors import ApError
from ap_connectors.fleet import plugins, values
from ap_connectors.fleet.members import Company, Fleet

_KEYS = ("api_key", "client_id")


def shared(fleet: Fleet, companies: Sequence[Company]) -> list[tuple[str, list[str]]]:
    """Return which companies have the same key: its setting, and their ids.

    Companies of one account of Įvesk are told apart by `company_codes`.
    """
    found: dict[tuple[str, Any], dict[str, Company]] = {}
    for company in companies:
        for settings in _settings(fleet, company):
            for name in _KEYS:
                key = _content(settings.get(name))
                if key:
                    found.setdefault((name, key), {})[company.id] = company
    return [
        (name, list(those))
        for (name, _), those in found.items()
        if len(those) > 1 and not (name == "api_key" and _are_apart(those))
    ]


def lines(fleet: Fleet, companies: Sequence[Company], same: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    """Yield what is dangerous, each in a line.

    Args:
        fleet: of the companies.
        companies: that are checked.
        same: those with the same key.
    """
    for name, ids in same:
        yield f"{' and '.join(ids)} have the same {name}, so each gets the records of one company. Look which is wrong."
    if without := [one.id for one in companies if _reads_every_account(fleet, one)]:
        yield (
            "These have no company_codes for tap-ivesk, so documents of another account would not be noticed: "
            f"{', '.join(without)}."
        )
    if idle := [one.id for one in companies if one.expected_company and not _asks_whose(fleet, one)]:
        yield f"expected_company has no effect without a pipeline of Vic.ai: {', '.join(idle)}."


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


def _are_apart(companies: Mapping[str, Company]) -> bool:
    codes = [one.codes for one in companies.values()]
    return all(codes) and sum(map(len, codes)) == len(set().union(*codes))


def _reads_every_account(fleet: Fleet, company: Company) -> bool:
    of_ivesk = [fleet.pipeline(name) for name in company.pipelines if fleet.pipeline(name).tap == "tap-ivesk"]
    return any(not fleet.settings_of(company, one, one.tap).get("company_codes") for one in of_ivesk)


def _asks_whose(fleet: Fleet, company: Company) -> bool:
    used = {plugin for name in company.pipelines for plugin in fleet.pipeline(name).plugins}
    return any(plugins.has(plugin, "expected_company") for plugin in used)
