"""Įvesk's events: documents that were digitized, and companies whose documents an accountant exported."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ap_connectors.sandbox.webhooks.sns import Subscription, Topics

if TYPE_CHECKING:
    from ap_connectors.sandbox.ivesk.service import Ivesk


class DocumentEvents:
    """Tells the topics what happened to documents.

    Args:
        ivesk: whose documents.
        topics: who is told.
    """

    def __init__(self, ivesk: Ivesk, topics: Topics) -> None:
        self._ivesk, self._topics = ivesk, topics

    def digitized(self, numbers: Iterable[int]) -> None:
        """Tell of each document, with all that the queue shows of it."""
        if self._topics.wanted("on_digitized"):
            for number in numbers:
                self._topics.publish("on_digitized", partial(self._document, number))

    def exported(self, numbers: Iterable[int]) -> None:
        """Tell of each company once, whatever number of its documents were exported."""
        for company in dict.fromkeys(self._ivesk.store.company_of[number] for number in numbers):
            self._topics.publish("on_exported", partial(self._company, company))

    def _document(self, number: int, one: Subscription) -> str:
        return self._ivesk.renderer.join("digitized", (number,), one.base.encode(), self._ivesk.signer()).decode()

    def _company(self, place: int, _: Subscription) -> str:
        return msgspec.json.encode({"companyCode": self._ivesk.store.cast.companies[place].code}).decode()
