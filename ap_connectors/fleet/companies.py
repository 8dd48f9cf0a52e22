"""`companies.yml`: who is in the fleet. It is checked whole before anything runs, and all that is wrong is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from ap_connectors.core import files, postgresql, settings
from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import counted
from ap_connectors.core.redact import printable
from ap_connectors.fleet import listed, pipelines, plugins, values, variables
from ap_connectors.fleet.members import ALL, TIE_OUT, Company, Dagster, Fleet, meant
from ap_connectors.fleet.pipelines import Pipeline
from ap_connectors.fleet.values import AsIs, Value

__all__ = ["Company", "Fleet", "read"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME = "letters, digits, '.', '_' and '-', 64 at most, with a letter or a digit first"
_TOP = (
    *("warehouse", "defaults", "companies", "pipelines", "folder", "state"),
    *("time_limit", "retries", "retry_pause", "lineage", "dagster"),
)
_DEFAULTS = ("pipelines", "settings")
_COMPANY = ("id", "name", "expected_company", "settings", "pipelines", "warehouse")
_DAGSTER = ("schedules", "timezone", "batch", "inbox", "on_failure")
_PIPELINE = ("tap", "target", "mapper", "select", "schema")
_LEAST = {"time_limit": 1, "retries": 0, "retry_pause": 0, "batch": 1}
_OURS = {"target-warehouse": {"database": "warehouse", "company": "id"}}
"""Settings that follow from others of the file."""
_VARIANTS = {pipelines.TAP_IVESK_FOR_VIC: "tap-ivesk"}
_LONGEST = 70
_SHOWN = 50
"""Problems that are said at once."""


def read(path: str | Path) -> Fleet:
    """Read a file, and check all of it.

    Raises:
        Stop: something is wrong; the message has a line for each problem, and shows no secret.
    """
    if not Path(path).exists():
        raise Stop(f"{path}: No such file or directory. Name the file of the fleet with --companies.")
    return _Reader(Path(path)).fleet()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path, self._base = path, path.absolute().parent
        self._problems: list[str] = []
        self._label = "line"
        """What the numbers of values are: lines of the file, or rows of a list."""
        self._list: Path | None = None
        """The file that the rows are of; the file itself after a query; None outside of a list."""
        self._holders: set[Path] = set()
        """Files that hold secrets."""
        self._pipelines: dict[str, Pipeline] = dict(pipelines.BY_NAME)
        self._validators: dict[str, Draft7Validator] = {}
        self._meant: set[str] = set()
        """Names, and settings as PLUGIN.NAME, that are given, but misspelt or wrong: what follows is not said again."""
        self._alike: dict[str, tuple[int, int]] = {}
        """By what is wrong: which problem says it, and for how many more companies it is so."""

    def fleet(self) -> Fleet:
        """Return what the file says."""
        top = self._members(values.parse(self._path, self._problems), "", _TOP)
        self._own_pipelines(top.get("pipelines"))
        defaults = self._members(top.get("defaults"), "defaults", _DEFAULTS)
        common = self._settings(defaults.get("settings"), "defaults")
        usual = self._names(defaults.get("pipelines"), "defaults")
        warehouse = self._place(top.get("warehouse"), "", "warehouse")
        companies: dict[str, Company] = {}
        for value in self._listed(top.get("companies")):
            company = self._company(value, common, usual, warehouse)
            # As variables spell it: else a company might get another's secrets.
            if company and (first := companies.setdefault(company.places["COMPANY"], company)) is not company:
                like = "" if first.id == company.id else f", {first.id}: capitals, '.', '_' and '-' tell no two apart"
                self._wrong(value, company.id, f"the id is taken by another company{like}; each needs one of its own.")
        self._label, listed_in, self._list = "line", self._list, None
        limits = ("time_limit", "retries", "retry_pause")
        numbers: dict[str, Any] = {name: self._number(top[name], name) for name in limits if name in top}
        fleet = Fleet(
            path=self._path.absolute(),
            companies=tuple(companies.values()),
            pipelines=self._pipelines,
            folder=self._base / files.place(self._text(top.get("folder"), "", "folder") or "output"),
            state=self._place(top.get("state"), "", "state"),
            lineage=self._text(top.get("lineage"), "", "lineage"),
            dagster=self._dagster(top.get("dagster")),
            listed_in=listed_in,
            **numbers,
        )
        for place, count in self._alike.values():
            self._problems[place] += f" (So {counted(count, 'time')} more.)" if count else ""
        if self._problems:
            shown = self._problems[:_SHOWN]
            more = [f"... and {len(self._problems) - _SHOWN} more."] if len(self._problems) > _SHOWN else []
            raise Stop("\n".join((f"{self._path} is not usable:", *(f"  {one}" for one in (*shown, *more)))))
        for path in sorted(self._holders):
            settings.warn_if_open(path, "secrets, which may be in files or in the environment instead")
        return fleet

    def _wrong(self, value: Value | None, where: str, problem: str, *, alike: str = "") -> None:
        """Add a problem, with the line or the row that it is on; what is `alike` for several companies is said once."""
        if alike in self._alike:
            place, count = self._alike[alike]
            self._alike[alike] = place, count + 1
            return
        if alike:
            self._alike[alike] = len(self._problems), 0
        parts = ([f"{self._label} {value.line}"] if value and value.line else []) + ([where] if where else [])
        self._problems.append(": ".join([*([", ".join(parts)] if parts else []), problem]))

    # Companies

    def _listed(self, value: Value | None) -> Iterator[Value]:
        """Yield what describes each company."""
        content = value.content if value else None
        if isinstance(content, list):
            if not content:
                self._wrong(value, "companies", "has no company; each is an entry with an id.")
            yield from content
        elif isinstance(content, Mapping) and len(content) == 1 and set(content) <= {"csv", "query"}:
            try:
                rows = list(listed.rows(content, self._base))
            except Stop as error:
                self._wrong(value, "companies", str(error))
                return
            is_file = "csv" in content
            self._label = f"{content['csv'].content}, row" if is_file else "row"
            self._list = self._base / files.place(str(content["csv"].content)) if is_file else self._path
            yield from rows
        else:
            self._wrong(value, "companies", "must be a list, or {csv: PATH}, or {query: {database: ..., sql: ...}}.")

    def _company(
        self,
        value: Value,
        common: Mapping[str, Mapping[str, Any]],
        usual: tuple[str, ...],
        warehouse: Any,
    ) -> Company | None:
        members = self._members(value, "companies")
        id_ = self._text(members.get("id"), "companies", "id")
        if not id_ or not _ID.fullmatch(id_):
            said = f"the id {printable(id_[:_LONGEST])} cannot be: " if id_ else ""
            self._wrong(value, "companies", f"{said}each needs an id of {_NAME}.")
            return None
        meant_by_all = set(self._meant)
        self._members(value, id_, _COMPANY)
        own = self._settings(members.get("settings"), id_)
        company = Company(
            id=id_,
            name=self._text(members.get("name"), id_, "name") or id_,
            expected_company=self._text(members.get("expected_company"), id_, "expected_company"),
            pipelines=self._names(members.get("pipelines"), id_) or usual,
            settings={one: {**common.get(one, {}), **own.get(one, {})} for one in {**common, **own}},
            warehouse=self._place(members.get("warehouse"), id_, "warehouse") or warehouse,
        )
        if not company.pipelines and not self._meant & {"defaults", "pipelines"}:
            self._wrong(value, id_, "has no pipelines; name some there or in defaults.")
        if not self._meant & {"defaults", "settings"}:
            for problem in self._lacking(company):
                self._wrong(value, id_, problem)
        self._variables(value, company)
        self._meant = meant_by_all
        return company

    def _lacking(self, company: Company) -> Iterator[str]:
        """Yield what the plugins of a company's pipelines cannot do without, and do not have."""
        lacking: dict[str, None] = {}
        for pipeline in (self._pipelines[name] for name in company.pipelines if name in self._pipelines):
            if pipeline.to_warehouse and company.warehouse is None and "warehouse" not in self._meant:
                yield f"{pipeline.name} needs a warehouse: name one there, or one for all."
            for plugin in pipeline.plugins:
                given = set(pipeline.settings.get(plugin, ())) | set(_OURS.get(plugin, ()))
                given.update(name for one in pipeline.names_of(plugin) for name in company.settings.get(one, ()))
                required = self._schema(plugin).get("required", ())
                missing = [name for name in sorted({*required} - given) if not self._is_meant(pipeline, plugin, name)]
                if missing:
                    lacking[f"{plugin}: {' and '.join(missing)} {'are' if missing[1:] else 'is'} missing."] = None
        yield from lacking

    def _is_meant(self, pipeline: Pipeline, plugin: str, name: str) -> bool:
        return any({one, f"{one}.{name}"} & self._meant for one in pipeline.names_of(plugin))

    def _variables(self, value: Value, company: Company) -> None:
        """Look at variables whose names depend on the company."""
        names = {**variables.ANY, **company.places}
        given = {f"{plugin}: {name}": one for plugin, own in company.settings.items() for name, one in own.items()}
        for name, setting in {**given, "warehouse": company.warehouse}.items():
            if problem := variables.wrong(setting, names):
                # One text of defaults may be wrong for all.
                self._wrong(value, company.id, f"{name}: {problem}", alike=f"{name} {setting}")

    # Settings and pipelines

    def _schema(self, plugin: str) -> Mapping[str, Any]:
        try:
            return plugins.schema(plugin)
        except Stop:
            return {}

    def _settings(self, value: Value | None, where: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for plugin, given in self._members(value, f"{where}: settings").items():
            command = _VARIANTS.get(plugin, plugin)
            try:
                schema = plugins.schema(command)
            except Stop as error:
                self._wrong(given, where, str(error))
                self._meant.add(settings.closest(plugin, [*plugins.names(), *_VARIANTS]) or plugin)
            else:
                found[plugin] = self._checked(command, schema, self._members(given, f"{where}: {plugin}"), where)
        return found

    def _checked(
        self, plugin: str, schema: Mapping[str, Any], members: Mapping[str, Value], where: str
    ) -> dict[str, Any]:
        properties = schema.get("properties", {})
        found: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        for name, value in members.items():
            at = f"{where}: {plugin}"
            if source := _OURS.get(plugin, {}).get(name):
                self._wrong(value, at, f"{name} follows from the company's {source}; leave it out.")
                continue
            if properties and name not in properties:
                self._wrong(value, at, f"{name} is not a setting{meant(name, properties)}")
                self._meant.add(f"{plugin}.{settings.closest(name, properties)}")
                continue
            schema_of = properties.get(name, {})
            is_cell, is_secret = self._list is not None, bool(schema_of.get("secret"))
            setting = self._setting(listed.as_list(value, schema_of) if is_cell else value, f"{at}: {name}", schema_of)
            setting = _as_is(setting) if is_cell else setting
            problem = variables.wrong(setting, variables.ANY)
            if problem:
                self._wrong(value, f"{at}: {name}", problem, alike=f"{at} {problem}" if is_cell else "")
            if problem or setting is None:
                self._meant.add(f"{plugin}.{name}")
                continue
            found[name] = setting
            if is_secret and values.is_literal(setting):
                self._holders.add(self._list or self._path)
            if not isinstance(setting, values.File | values.Command) and not any(values.variables(setting)):
                plain[name] = setting
        for problem in settings.explain(self._validator(plugin, schema).iter_errors(plain), ""):
            about = next((name for name in members if problem.startswith(name)), "")
            told = problem + (listed.how(plugin, about, properties.get(about, {})) if self._list else "")
            alike = f"{plugin}.{problem}" if self._list else ""
            self._wrong(members.get(about), f"{where}: {plugin}", told, alike=alike)
        return found

    def _validator(self, plugin: str, schema: Mapping[str, Any]) -> Draft7Validator:
        if plugin not in self._validators:
            # What is required may come from defaults, companies or pipelines.
            self._validators[plugin] = Draft7Validator(
                {name: one for name, one in schema.items() if name != "required"}
            )
        return self._validators[plugin]

    def _own_pipelines(self, value: Value | None) -> None:
        for name, given in self._members(value, "pipelines").items():
            where = f"pipelines: {name}"
            members = self._members(given, where, _PIPELINE)
            if name in pipelines.BY_NAME or not _ID.fullmatch(name):
                self._wrong(given, where, f"needs a name that no other pipeline has, of {_NAME}.")
            tap, target, mapper, schema = (
                self._text(members.get(one), where, one) for one in ("tap", "target", "mapper", "schema")
            )
            if not tap or not target:
                self._wrong(given, where, "needs a tap and a target.")
                continue
            for plugin in filter(None, (tap, mapper, target)):
                try:
                    plugins.schema(plugin)
                except Stop as error:
                    self._wrong(given, where, str(error))
            select = self._texts(members.get("select"), f"{where}: select")
            files = {one: pipelines.FILES[one] for one in (target, mapper) if one in pipelines.FILES}
            self._pipelines[name] = Pipeline(name, tap, target, mapper, select, schema, files)

    def _names(self, value: Value | None, where: str) -> tuple[str, ...]:
        found = self._texts(value, f"{where}: pipelines")
        for name in found:
            if name not in self._pipelines:
                self._wrong(value, where, f"there is no pipeline {name}{meant(name, self._pipelines)}")
        return tuple(dict.fromkeys(found))

    def _dagster(self, value: Value | None) -> Dagster:
        """Return how Dagster runs the fleet."""
        where = "dagster"
        members = self._members(value, where, _DAGSTER)
        schedules: dict[str, str] = {}
        for name, given in self._members(members.get("schedules"), f"{where}: schedules").items():
            if name not in {*self._pipelines, ALL, TIE_OUT}:
                self._wrong(given, where, f"schedules: there is no pipeline {name}{meant(name, self._pipelines)}")
            schedules[name] = self._text(given, where, f"schedules: {name}") or ""
            if len(schedules[name].split()) != 5:
                self._wrong(given, where, f"schedules: {name}: must be five fields of cron, such as '0 * * * *'.")
        hook = self._place(members.get("on_failure"), where, "on_failure")
        if isinstance(hook, str) and not hook.startswith(("https://", "http://", "${")):
            self._wrong(members["on_failure"], where, "on_failure must be an address, or {command: [PROGRAM, ...]}.")
        return Dagster(
            schedules=schedules,
            timezone=self._text(members.get("timezone"), where, "timezone") or "UTC",
            batch=self._number(members["batch"], "batch") if "batch" in members else Dagster.batch,
            inbox=self._place(members.get("inbox"), where, "inbox"),
            on_failure=hook,
        )

    # Values

    def _members(self, value: Value | None, where: str, known: Sequence[str] | None = None) -> Mapping[str, Value]:
        """Return a mapping's members that have a value."""
        if value is None or value.content is None:
            return {}
        if not isinstance(value.content, Mapping):
            self._wrong(value, where, "must be lines of `name: value`.")
            return {}
        for name, member in value.content.items():
            if known is not None and name not in known:
                self._wrong(member, where, f"{name} is not known here{meant(name, known)}")
                self._meant.add(settings.closest(name, known) or name)
        return {name: member for name, member in value.content.items() if member.content is not None}

    def _text(self, value: Value | None, where: str, name: str) -> str | None:
        content = value.content if value else None
        if content is None:
            return None
        if not isinstance(content, str):
            self._wrong(value, where, f"{name} must be a text.")
            return None
        return content.strip() or None

    def _texts(self, value: Value | None, where: str) -> tuple[str, ...]:
        content = value.content if value else None
        if isinstance(content, str):
            return tuple(content.replace(",", " ").split())
        if isinstance(content, list) and all(isinstance(each.content, str) for each in content):
            return tuple(str(each.content) for each in content)
        if content is not None:
            self._wrong(value, where, "must be a list of texts.")
        return ()

    def _setting(self, value: Value, where: str, schema: Mapping[str, Any]) -> Any:
        try:
            return values.setting(value, schema, self._base)
        except ValueError as error:
            self._wrong(value, where, f"{error}.")
            return None

    def _place(self, value: Value | None, where: str, name: str) -> Any:
        """Return a text, or where a secret is."""
        found = self._setting(value, f"{where}: {name}" if where else name, {"type": "string"}) if value else None
        if value and (problem := variables.wrong(found, variables.ANY)):
            self._wrong(value, where, f"{name}: {problem}")
            found = None
        elif found is not None and not isinstance(found, str | values.File | values.Command):
            self._wrong(value, where, f"{name} must be a text, {{file: PATH}} or {{command: [PROGRAM, ...]}}.")
        if isinstance(found, str) and any(postgresql.passwords(found)):
            self._holders.add(self._path)
        if value and found is None:
            self._meant.add(name)
        return found

    def _number(self, value: Value, name: str) -> int:
        found = values.typed(value, {"type": "integer"})
        if isinstance(found, int) and not isinstance(found, bool) and found >= _LEAST[name]:
            return found
        self._wrong(value, name, f"must be a whole number, {_LEAST[name]} or more.")
        return _LEAST[name]


def _as_is(value: Any) -> Any:
    if isinstance(value, str):
        return AsIs(value)
    return [_as_is(each) for each in value] if isinstance(value, list) else value
