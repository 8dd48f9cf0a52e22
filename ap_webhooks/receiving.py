"""What the receiver is set up with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from ap_http.errors import Stop


@dataclass(frozen=True)
class Receiving:
    """Settings of the receiver. A service without a token or secret is not set up: what it sends is refused.

    Args:
        inbox: where deliveries are stored (see `Inbox`).
        vicai_tokens: the access tokens of Vic's subscription; several while one replaces the other.
        ivesk_secrets: what `secret` in the target URL of Įvesk's subscription may be.
        ivesk_topics: topics (ARN) whose messages are taken; none given: those that confirm a subscription are pinned,
            as long as they belong to the account of the first.
        max_age: seconds that an SNS message may be old. SNS tries again for up to 100 minutes, with the first time.
        max_skew: seconds that it may be ahead of our clock.
        test_hosts: `host:port` on this machine that stand in for SNS, over http. For tests only.
        max_body_mb: size of an invoice with its document; Vic's own limit for documents is 64 MB.
        max_event_mb: size of any other delivery.
        max_waiting_mb: what all deliveries that are under way may hold in memory.
        body_seconds: how long one delivery may take to come in.
        commit_seconds: how long one may wait to be stored before it is answered 503.

    Raises:
        Stop: a setting is wrong; the message names it.
    """

    inbox: str = "sqlite:///webhooks.db"
    vicai_tokens: tuple[str, ...] = field(default=(), repr=False)
    ivesk_secrets: tuple[str, ...] = field(default=(), repr=False)
    ivesk_topics: tuple[str, ...] = ()
    max_age: float = 7200
    max_skew: float = 300
    test_hosts: tuple[str, ...] = ()
    max_body_mb: float = 70
    max_event_mb: float = 8
    max_waiting_mb: float = 512
    body_seconds: float = 30
    commit_seconds: float = 4

    def __post_init__(self) -> None:
        for name in ("vicai_tokens", "ivesk_secrets", "ivesk_topics"):
            if any(not value.strip() for value in getattr(self, name)):
                raise Stop(f"{name}: one of them is empty, and an empty one would let everybody in.")
        for topic in self.ivesk_topics:
            if not topic.startswith("arn:"):
                raise Stop(f"ivesk_topics: {topic!r} is no ARN such as arn:aws:sns:eu-west-1:123456789012:name.")
        for name in ("max_age", "max_body_mb", "max_event_mb", "max_waiting_mb", "body_seconds", "commit_seconds"):
            if not getattr(self, name) > 0:
                raise Stop(f"{name}: must be more than 0.")
        for host in self.test_hosts:
            if not _is_loopback(host):
                raise Stop(f"ivesk_test_hosts: {host!r} is not a port of this machine such as 127.0.0.1:8722.")

    @property
    def secrets(self) -> tuple[str, ...]:
        """All texts that no message may show."""
        return self.vicai_tokens + self.ivesk_secrets


def _is_loopback(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback and port.isdecimal()
    except ValueError:
        return False
