"""Settings of `target-ivesk`, and what puts its parts together."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from ap_connectors.ivesk.client import IveskClient
from ap_connectors.ivesk.settings import client, connected, fingerprint
from ap_connectors.singer.document_sources import DocumentSources
from ap_connectors.singer.ledger import Ledger, SendOnce
from ap_connectors.singer.schema import canonical
from ap_connectors.singer.settings import (
    DOCUMENTS_FROM,
    MAX_REJECTS,
    REJECTS_PATH,
    REQUEST_TIMEOUT,
    TARGET_REPORT_PATH,
    USER_AGENT,
    ledger_path,
    max_concurrency,
)
from ap_connectors.singer.sink import Sink
from ap_connectors.singer.target import ExactTarget
from target_ivesk.options import SWITCHES, TAGS, WORDS, defaults
from target_ivesk.sink import SERVICE, Account, IveskSink
from target_ivesk.sinks import Documents, SyncErrors

ALL: tuple[type[IveskSink], ...] = (Documents, SyncErrors)


class TargetIvesk(ExactTarget):
    """Documents into Įvesk (Virtualus Apskaitininkas), and errors back to its accountants, each exactly once."""

    name = "target-ivesk"

    config_jsonschema = connected(
        th.PropertiesList(
            th.Property(
                "upload_options",
                th.ObjectType(
                    *(th.Property(name, th.BooleanType, description=words) for name, words in SWITCHES.items()),
                    *(th.Property(name, th.StringType, description=words) for name, words in WORDS.items()),
                    th.Property(TAGS, th.ArrayType(th.StringType), description="Tags that the document gets."),
                ),
                title="Options of uploads",
                description="How Įvesk is to work on documents, where a record does not say it: processlines, "
                "splitdocuments, checkduplicates, rejectnoninvoices, warehouse, allocation, tags.",
                examples=[{"processlines": True, "tags": ["erp"]}],
            ),
            max_concurrency("for uploads and for errors"),
            REQUEST_TIMEOUT,
            DOCUMENTS_FROM,
            REJECTS_PATH,
            MAX_REJECTS,
            TARGET_REPORT_PATH,
            ledger_path("target-ivesk", "what was uploaded and reported: Įvesk cannot be asked."),
            USER_AGENT,
        ).to_dict()
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = defaults(self.config.get("upload_options") or {})
        self._sources = DocumentSources(self.config.get("documents_from"), api_url=self.config.get("api_url") or "")

    @property
    def streams(self) -> Iterable[str]:
        """The names of the two streams."""
        return [sink.name for sink in ALL]

    def sink_for(self, stream: str) -> Sink | None:
        """Return the sink of a stream; one for all spellings of its name."""
        return self._sinks_by_name.get(canonical(stream))

    @functools.cached_property
    def company(self) -> str:
        """The account, told by its key: the service has no call that says whose it is, but one that proves the key."""
        self.client.check()
        return self._name

    @property
    def destination(self) -> str:
        """The service, and which key: the account has no name."""
        return f"ivesk at {self._host} (key with the fingerprint {self._fingerprint})"

    @property
    def proof(self) -> str:
        """What `--test` has found out."""
        self.client.check()
        return f"ivesk at {self._host} accepts the key with the fingerprint {self._fingerprint}"

    def redact(self, text: str) -> str:
        """Mask the key, and links that give write access."""
        return self.client.mask(text)

    @functools.cached_property
    def client(self) -> IveskClient:
        """The one client."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)

    @functools.cached_property
    def _sinks_by_name(self) -> dict[str, IveskSink]:
        # A key may be renewed: what was sent to this host with any key is known.
        host = f"{self._host} "
        path, owner, name = self.config["ledger_path"], self._owner, self._name
        ledger = Ledger(path, owner, name, alike=lambda entry: entry.owner.startswith(host))
        account = Account(
            self.client,
            SendOnce(ledger, SERVICE),
            self._options,
            self._sources,
            warn=lambda message: self.logger.warning("%s", message),
        )
        return {canonical(sink.name): sink(account) for sink in ALL}

    @property
    def _name(self) -> str:
        return f"ivesk at {self._owner}"

    @property
    def _owner(self) -> str:
        return f"{self._host} {self._fingerprint}"

    @property
    def _host(self) -> str:
        return urlsplit(self.client.url).netloc

    @property
    def _fingerprint(self) -> str:
        return fingerprint(self.config)
