"""The tables of the receiver. Other rooms add theirs to `METADATA`; `Inbox.engine` reaches all of them."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("company", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("received_at", sa.Text, nullable=False),
    # Before the bytes: SQLite reads a row from its front, and leaves a document alone that nobody asks for.
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Column("document_name", sa.Text),
    sa.Column("document_type", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("document", sa.LargeBinary),
    sa.UniqueConstraint("service", "dedup_key"),
    # Ids are bookmarks, so the id of a row that was deleted must never be given again.
    sqlite_autoincrement=True,
)

PINS = sa.Table(
    "pins",
    METADATA,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("pinned_at", sa.Text, nullable=False),
    sa.Column("confirmed_at", sa.Text),
)
"""Topics of SNS whose notifications are taken."""

BEATS = sa.Table(
    "beats",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
)
"""One row, written anew to see that writing works."""
