"""The documents of a run's events, fetched from Vic.ai and stored in the inbox before its command begins."""

from __future__ import annotations

import logging
import threading

from ap_connectors.core.errors import ApError
from ap_connectors.vicai.client import NotFound
from ap_connectors.webhooks import deliveries, documents
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.subscriptions import vicai_client

_LOG = logging.getLogger("ap_connectors.webhooks.fetching")


class Fetching(threading.Thread):
    """Fetches what is missing, in a thread of its own: Vic.ai may be far away, or not answer.

    Args:
        settings: the credentials.
        inbox: where the documents are stored.
        run_id: the run.
    """

    error: Exception | None = None
    """Why not all are there, once the thread has ended."""

    def __init__(self, settings: Settings, inbox: Inbox, run_id: int) -> None:
        super().__init__(name="documents", daemon=True)
        self._settings, self._inbox, self._run_id = settings, inbox, run_id
        self.start()

    def run(self) -> None:
        """Fetch them."""
        try:
            links = [
                (id_, *link)
                for id_, body in self._inbox.without_document(self._run_id)
                if (link := documents.link(deliveries.content(body))) is not None
            ]
            client = vicai_client(self._settings) if links else None
            for id_, url, invoice in links:
                assert client is not None  # noqa: S101 - there are links
                try:
                    content, kind = documents.fetch(client, url, invoice, documents.whole)
                except NotFound as error:
                    _LOG.warning("event %d: its invoice has no document: %s", id_, error)
                    continue
                name = f"{invoice}.pdf" if kind == "application/pdf" else None
                self._inbox.add_document(id_, content, name, kind)
        except Exception as error:
            if not isinstance(error, ApError):
                _LOG.exception("The documents of a run could not be fetched.")
            self.error = error
