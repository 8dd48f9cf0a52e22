"""Which topics of SNS we listen to: those that the settings name, or those that were pinned."""

from __future__ import annotations

import threading

from ap_webhooks.inbox import Inbox
from ap_webhooks.refused import Refused
from ap_webhooks.sns import CONFIRMATION, Message


class Topics:
    """Decides about topics. Threads may share it.

    Args:
        inbox: where topics are pinned.
        named: the topics of the settings; if there are any, no other is taken.
    """

    def __init__(self, inbox: Inbox, named: tuple[str, ...]) -> None:
        self._inbox = inbox
        self._named = frozenset(named)
        self._pinned: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def known(self, topic: str) -> bool:
        """Whether `check` will answer without asking the inbox."""
        return topic in (self._named or self._pinned)

    def check(self, message: Message) -> None:
        """Let a message of a topic pass that we listen to, or that asks us to and may.

        Raises:
            Refused: 403, it is not one of ours.
        """
        topic = message.topic_arn
        if self.known(topic):
            return
        if self._named:
            raise _foreign(topic, "It is not among ivesk_topics.")
        with self._lock:
            self._pinned = frozenset(pin.topic for pin in self._inbox.pins())
        if topic in self._pinned:
            return
        if message.type != CONFIRMATION:
            raise _foreign(
                topic, "It never confirmed a subscription here: subscribe again, or name it in ivesk_topics."
            )
        if self._pinned and _account(topic) not in {_account(pinned) for pinned in self._pinned}:
            raise _foreign(topic, "Its account is not the one of the topics pinned so far; name all in ivesk_topics.")

    def pin(self, topic: str, *, confirmed: bool = False) -> None:
        """Listen to a topic from now on; call it for verified messages only.

        Raises:
            Outage: the inbox cannot be written.
        """
        self._inbox.pin(topic, confirmed=confirmed)
        with self._lock:
            self._pinned |= {topic}


def _foreign(topic: str, why: str) -> Refused:
    return Refused(403, "foreign", "The topic is not one that we listen to.", detail=f"Topic {topic}: {why}")


def _account(topic: str) -> tuple[str, ...]:
    """Partition, region and account of a topic's ARN."""
    return tuple(topic.split(":")[i] for i in (1, 3, 4))
