"""The table of states: the last STATE of each pipeline, written with the rows that it covers."""

from __future__ import annotations

import msgspec

from ap_connectors.core.errors import Stop
from target_warehouse import kinds
from target_warehouse.declared import STATE
from target_warehouse.sql import literal
from target_warehouse.warehouse import Warehouse


def create(warehouse: Warehouse) -> None:
    """Make the table unless it is there."""
    moment, text, json = (warehouse.type_of(kind) for kind in (kinds.INSTANT, kinds.TEXT, kinds.JSON))
    warehouse.execute(
        f"CREATE TABLE IF NOT EXISTS {warehouse.name(STATE)} (company {text} NOT NULL, pipeline {text} NOT NULL, "
        f"state {json} NOT NULL, tenant {text}, loaded_at {moment} NOT NULL, PRIMARY KEY (company, pipeline))"
    )


def save(warehouse: Warehouse, pipeline: str, state: bytes) -> None:
    """Keep a STATE.

    Args:
        warehouse: in the transaction that writes what the STATE covers.
        pipeline: whose state it is (the setting `state_id`).
        state: as it came.

    Raises:
        Stop: it is of another company than the rows of the schema.
    """
    table, company, tenant = warehouse.name(STATE), warehouse.company or "", _tenant(state)
    if tenant is not None:
        known = warehouse.execute(f"SELECT company, tenant FROM {table} WHERE tenant IS NOT NULL")
        for known_company, known_tenant in known:
            if (known_company == company) != (known_tenant == tenant):
                raise _other_company(warehouse, known_company, known_tenant, tenant)
    warehouse.execute(
        f"INSERT INTO {table} AS t (company, pipeline, state, tenant, loaded_at) VALUES ({literal(company)}, "
        f"{literal(pipeline)}, {literal(state.decode())}, {'NULL' if tenant is None else literal(tenant)}, now()) "
        "ON CONFLICT (company, pipeline) DO UPDATE SET state = excluded.state, "
        "tenant = coalesce(excluded.tenant, t.tenant), loaded_at = excluded.loaded_at"
    )


def _other_company(warehouse: Warehouse, known_company: str, known: str, tenant: str) -> Stop:
    """Say that rows of one company would come under another's name."""
    schema, company = warehouse.schema, warehouse.company
    if known_company != (company or ""):
        return Stop(
            f'The data of "{tenant}" are in the schema {schema} already, under the name "{known_company}", and the '
            f'setting company is "{company or ""}". Nothing was loaded. Set the name that it has there.'
        )
    whose = f"The company {company} of the schema {schema}" if company else f"The schema {schema}"
    return Stop(
        f'{whose} holds the data of "{known}", and this is of "{tenant}". Nothing of it was loaded. Give each '
        "company a name (company) or a schema of its own; if it was merely renamed, change the column tenant of "
        f"{schema}.{STATE}."
    )


def _tenant(state: bytes) -> str | None:
    """Return the company of the service that a STATE names, as tap-vicai does."""
    try:
        return _decode(state).bookmarks.company.tenant
    except msgspec.MsgspecError:
        return None


class _Company(msgspec.Struct):
    tenant: str | None = None


class _Bookmarks(msgspec.Struct):
    company: _Company = msgspec.field(default_factory=_Company)


class _State(msgspec.Struct):
    bookmarks: _Bookmarks = msgspec.field(default_factory=_Bookmarks)


_decode = msgspec.json.Decoder(_State).decode
