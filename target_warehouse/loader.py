"""What came is gathered, and then written at once: rows of all streams and the STATE that covers them.

A second thread writes, while the next records are being read.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ap_connectors.core.errors import Outage, Reject, Stop
from ap_connectors.singer.run_report import RunReport
from target_warehouse import kinds
from target_warehouse import state as states
from target_warehouse.declared import DELETED, ROW, Declared
from target_warehouse.incoming import Incoming
from target_warehouse.plan import Planner
from target_warehouse.tables import Plan, Settings, Table, Widening
from target_warehouse.warehouse import Again, Refused, Warehouse
from target_warehouse.writing import Writer

_TRIES = 8
_MOST_REFUSED = 1000
_MOST_SHOWN = 60
SetAside = Callable[[str, str | None, tuple[int, bytes], Reject], None]


class _Undo(Exception):
    """Rolls a try back."""


class Loader:
    """Loads into a warehouse.

    Args:
        warehouse: that is open.
        settings: of the tables.
        pipeline: whose STATE it keeps.
        report: counts what happens.
        set_aside: takes a record that cannot be loaded: stream, key, line, reason.
        sync: makes the rejects durable.
        certain: takes a STATE once all that it covers is written.
        logger: is told what columns became.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        settings: Settings,
        pipeline: str,
        *,
        report: RunReport,
        set_aside: SetAside,
        sync: Callable[[], None],
        certain: Callable[[bytes], None],
        logger: logging.Logger,
    ) -> None:
        self._warehouse, self._pipeline = warehouse, pipeline
        self._planner, self._writer = Planner(warehouse, settings), Writer(warehouse, settings.deletes)
        self._report, self._set_aside, self._sync, self._logger = report, set_aside, sync, logger
        self._certain = certain
        self._thread = ThreadPoolExecutor(1, "writes")
        self._under_way: Future[None] | None = None
        self._incoming: dict[str, Incoming] = {}
        self._tables: dict[str, Table] | None = None
        self._state: bytes | None = None
        self._lacking: set[str] = set()
        self.widened: list[Widening] = []
        """Columns that changed their kinds in this run."""
        self.has_changed = False
        """Whether a table was made or changed in this run."""

    def declare(self, stream: str, schema: dict[str, Any], key: list[str]) -> None:
        """Take records of a stream by a SCHEMA from now on."""
        self.wait()  # what is written has the kinds of its fields from there
        declared = Declared.of(stream, schema, key, self._warehouse.most)
        before = self._incoming.get(stream)
        if before and len(before) and not declared.is_alike(before.declared):
            self.flush()
            self.wait()
        if stream in self._incoming:
            self._incoming[stream].declare(declared)
        else:
            self._incoming[stream] = Incoming(declared, self._warehouse.most)

    def of(self, stream: str) -> Incoming | None:
        """Return where records of a stream go; None before its SCHEMA."""
        return self._incoming.get(stream)

    def lacks(self, stream: str) -> None:
        """Know that a record of a stream was set aside: what a full load lacks is not deleted by that."""
        self._lacking.add(stream)

    def state(self, value: bytes) -> None:
        """Take a STATE; it is written with the records before it."""
        self._state = value

    def flush(self, activate: tuple[str, int] | None = None) -> None:
        """Have all that came written, when what was to be written before is; return before it is done.

        Args:
            activate: a stream and its version: what lacks it was not in the full load that ends here.

        Raises:
            Stop: a table cannot be loaded into. Outage: the database fails. Either may be about what came before.
        """
        self.wait()
        taken = [incoming.taken() for incoming in self._incoming.values()]
        state, self._state = self._state, None
        self._under_way = self._thread.submit(self._flush, taken, state, activate)

    def wait(self) -> None:
        """Wait until what was to be written is.

        Raises:
            Stop, Outage: as of `flush`.
        """
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None

    @property
    def has_failed(self) -> bool:
        """Whether what was to be written could not be; nothing after it may be, either."""
        return self._under_way is not None and self._under_way.done() and self._under_way.exception() is not None

    def _flush(self, taken: Sequence[Incoming], state: bytes | None, activate: tuple[str, int] | None) -> None:
        refused: set[int] = set()
        failed = 0
        while True:
            try:
                with self._warehouse.attempt():
                    plans = self._prepared(taken)
                    for plan in plans:
                        self._refuse(plan, refused)
                    self._sync()
                    try:
                        counts = self._write(plans, state, activate)
                        break
                    except Refused as error:
                        self._find_refused(error, taken)
            except Again as trouble:
                self._tables = None
                failed += 1
                if failed == _TRIES:
                    raise Outage(
                        f"The warehouse failed {_TRIES} times: {trouble} The next run goes on from the last STATE."
                    ) from None
                self._logger.info("The warehouse could not write now (%s); trying again.", trouble)
                time.sleep(random.uniform(0, 0.1) * 2**failed)  # noqa: S311 - so that two runs do not meet again
        self._count(plans, counts)
        for incoming in taken:
            self._report.of(incoming.name).add("received", len(incoming))
        if state is not None:
            self._certain(state)

    def _refuse(self, plan: Plan, refused: set[int]) -> None:
        """Set aside what cannot be loaded, once, however often the rest is tried."""
        for line, key, reject in plan.rejects:
            self.lacks(plan.batch.stream)
            if line[0] not in refused:
                self._set_aside(plan.batch.stream, key, line, reject)
                refused.add(line[0])

    def _find_refused(self, refused: Refused, taken: Sequence[Incoming]) -> None:
        """Find the rows that the database does not take, so that the next try leaves them out.

        Raises:
            Stop: there are too many; it is not the rows.
        """
        plan = refused.plan
        incoming = next(one for one in taken if one.name == plan.batch.stream)
        found: dict[int, str] = {}
        halves = [(0, plan.batch.size)]
        while halves:
            start, end = halves.pop()
            said = self._tried(replace(plan, batch=plan.batch.part(start, end)))
            if said and end - start == 1:
                found[plan.batch.numbers[start]] = said
            elif said:
                middle = (start + end) // 2
                halves += [(start, middle), (middle, end)]
            if len(found) > _MOST_REFUSED:
                raise Stop(
                    f"{plan.batch.stream}: the database refuses the rows, lately: {said}. Nothing of them was loaded."
                )
        if not found:
            raise Stop(
                f"{plan.batch.stream}: the database refuses the rows together, and each of them alone it takes: "
                f"{refused}. Nothing was loaded. They break a rule that the table {plan.table.name} was given by "
                "somebody: take that away, and run again."
            )
        for number, said in found.items():
            incoming.refused[number] = Reject(
                f"the database refuses the record: {said}", "warehouse_refused", said=said
            )

    def _tried(self, plan: Plan) -> str | None:
        """Return why the database does not take rows; None if it would."""
        try:
            with self._warehouse.transaction():
                self._writer.load(plan, self._tables or {})
                self._undo()
        except Refused as refused:
            return str(refused)
        except _Undo:
            pass
        return None

    @staticmethod
    def _undo() -> None:
        raise _Undo

    def _prepared(self, taken: Sequence[Incoming]) -> list[Plan]:
        """Plan, and change the tables that have to be changed; a change is a transaction of its own."""
        plans = self._planned(taken)
        unmarked = self._writer.unmarked(plans, self._tables or {})
        if unmarked or any(plan.changes_table for plan in plans) or not self._warehouse.has_states:
            with self._warehouse.transaction(changes_tables=True):
                known, self._tables = self._tables, self._warehouse.tables()
                # A column that had no value may have one of another run by now.
                if self._tables != known or any(plan.widens for plan in plans):
                    plans = self._planned(taken)
                for plan in plans:
                    if plan.changes_table:
                        self._warehouse.change(plan.table, plan.before)
                for table in self._writer.unmarked(plans, self._tables):
                    marked = {**table.columns, DELETED: kinds.INSTANT}
                    self._warehouse.change(replace(table, columns=marked, made=table.made | {DELETED}), table)
                if not self._warehouse.has_states:
                    states.create(self._warehouse)
                self._tables = self._warehouse.tables()
            for plan in plans:
                self.has_changed |= plan.changes_table
                self._tell(plan.widened)
        return plans

    def _planned(self, taken: Sequence[Incoming]) -> list[Plan]:
        if self._tables is None:
            self._tables = self._warehouse.tables()
        plans = []
        tables = dict(self._tables)
        for incoming in taken:
            plan = self._planner.plan(incoming, tables)
            tables[plan.table.name] = plan.table
            plans.append(plan)
        return plans

    def _write(
        self, plans: list[Plan], state: bytes | None, activate: tuple[str, int] | None
    ) -> dict[str, Counter[str]]:
        counts: dict[str, Counter[str]] = {}
        with self._warehouse.transaction():
            tables = self._tables or {}
            self._warehouse.check_tables(tables)
            for plan in plans:
                counts[plan.batch.stream] = self._writer.load(plan, tables)
            for plan in plans:
                if plan.deletions:
                    counts[plan.batch.stream]["deleted"] += self._writer.delete(plan, tables)
                if activate and plan.batch.stream == activate[0] and self._is_whole(plan):
                    counts[activate[0]]["deleted"] += self._writer.activate(plan.table, activate[1])
            if state is not None:
                states.save(self._warehouse, self._pipeline, state)
        return counts

    def _is_whole(self, plan: Plan) -> bool:
        """Whether a full load has all that is there, or rows that cannot be deleted by what it lacks: keyless ones."""
        stream = plan.batch.stream
        if stream not in self._lacking or ROW in plan.table.key:
            return True
        self._logger.warning(
            "%s: records of the full load were set aside, so rows that it does not have stay as they are, until one "
            "comes of which all can be loaded.",
            stream,
        )
        return False

    def _count(self, plans: list[Plan], counts: dict[str, Counter[str]]) -> None:
        for plan in plans:
            batch = plan.batch
            if not (batch.size or batch.deletions or counts[batch.stream]["deleted"]):
                continue
            found, report = counts[batch.stream], self._report.of(batch.stream)
            report.add("created", found["created"])
            report.add("updated", found["updated"])
            report.add("deleted", found["deleted"])
            report.add("unchanged", batch.size - found["created"] - found["updated"] + batch.duplicates)

    def _tell(self, widened: list[Widening]) -> None:
        for one in widened:
            what = "what the SCHEMA declares now"
            if one.line:
                of = f", {one.key[:_MOST_SHOWN]}" if one.key else ""
                what = f"{one.value[:_MOST_SHOWN]!r} (line {one.line}{of})"
            self._logger.warning(
                "%s: the column %s now holds %s; as %s it could not hold %s.",
                *(one.table, one.column, one.after, one.before, what),
            )
        self.widened += widened
