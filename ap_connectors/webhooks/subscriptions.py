"""Subscriptions: telling the services where to call, with which secret, and for how long."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ap_connectors.core import instants
from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.ivesk.client import DEFAULT_URL, IveskClient
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Forbidden, NotFound, Refused, VicaiClient
from ap_connectors.vicai.settings import REQUIRED
from ap_connectors.vicai.settings import client as vicai_client
from ap_connectors.webhooks.inbox import AllowedTopic
from ap_connectors.webhooks.runs import opened
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.tokens import Secret, Token, Tokens

AGENT = "ap-connectors ap-webhooks"
TIMEOUT = 60.0
IVESK_EVENTS = ("on_exported", "on_digitized")


@dataclass(frozen=True)
class Subscription:
    """What Vic.ai says about the subscription, without its token; the instant is UTC.

    Args:
        callback_url: where it calls.
        events: for what.
        expires_at: until when.
        days: that are left; negative when it has expired.
        token_known: whether the receiver lets its token in; None where Vic.ai does not show it.
    """

    callback_url: str
    events: tuple[str, ...]
    expires_at: str
    days: float
    token_known: bool | None


def client(settings: Settings) -> VicaiClient:
    """The client of Vic.ai that the settings describe.

    Raises:
        Stop: they cannot be right.
    """
    return vicai_client(settings.credentials("vicai", *REQUIRED), timeout=TIMEOUT, user_agent=AGENT)


def public_url(settings: Settings, path: str) -> str:
    """Where a service calls us.

    Raises:
        Stop: it is not set, or not https.
    """
    if not settings.public_url:
        raise Stop("public_url is missing: the address under which the services reach the receiver, with https.")
    parts = urlsplit(settings.public_url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise Stop("public_url: must begin with https; the services send secrets there.")
    return f"{settings.public_url}/{path}"


# Vic.ai


def subscribe_vicai(
    settings: Settings, *, days: float, events: Sequence[str], keep_token: bool, forget_old: bool
) -> Subscription:
    """Subscribe to Vic.ai's events, or renew the subscription.

    A new token is let in before Vic.ai hears of it, and the old ones are until they expire.

    Args:
        settings: where, and the token, if it is not made here.
        days: until it expires.
        events: which (none: those of before, else all).
        keep_token: whether the newest token is used again.
        forget_old: whether the other ones are let in no longer.

    Raises:
        Stop: Vic.ai does not take it. Outage: it failed for too long; what it knows then is open, and all are let in.
    """
    url = public_url(settings, "vicai")
    allowed = contract.component("WebhookEventName")["enum"]
    for event in events:
        if event not in allowed:
            raise Stop(f"--events: there is no event {event!r}; known are {', '.join(allowed)}.")
    vic = client(settings)
    now = time.time_ns() // 1_000_000
    expires = instants.text(now + int(days * 86_400_000))
    with settings.tokens.changing():
        before = settings.tokens.read()
        known = before.live()
        made = _next_token(settings, known, expires, now, keep=keep_token)
        others = tuple(one for one in known.vicai if one.token != made.token)
        if made.token not in settings.vicai_token:
            settings.tokens.write(replace_vicai(known, (made, *others)))
            # The receiver looks at the file twice a second.
            time.sleep(1.0)
        order: dict[str, Any] = {"callbackUrl": url, "accessToken": made.token, "expiresAt": expires}
        if events:
            order["events"] = list(events)
        try:
            vic.send("subscribe", order)
        except Outage:
            raise
        except ApError as error:
            settings.tokens.write(before)
            raise Stop(str(error)) from None
        if forget_old:
            kept = (made,) if made.token not in settings.vicai_token else ()
            settings.tokens.write(replace_vicai(known, kept))
    found = status_vicai(settings)
    if found is None:
        raise Stop("vicai: the subscription was made, but Vic.ai shows none now; somebody has ended it.")
    return found


def status_vicai(settings: Settings) -> Subscription | None:
    """What Vic.ai says; None if there is no subscription.

    Raises:
        Stop: it may not be seen. Outage: Vic.ai failed for too long.
    """
    try:
        found = client(settings).found("getSubscription")
    except (Forbidden, Refused) as error:
        raise Stop(str(error)) from None
    if not found or not found.get("callbackUrl"):
        return None
    token = found.get("accessToken")
    expires = str(found.get("expiresAt") or "")
    try:
        left = instants.milliseconds(expires) / 1000 - time.time()
    except ValueError:
        raise Stop(f"vicai: the subscription's expiresAt is no instant: {expires!r}.") from None
    lets_in = settings.with_live_tokens().vicai_token
    return Subscription(
        callback_url=str(found["callbackUrl"]),
        events=tuple(str(one) for one in found.get("events") or ()),
        expires_at=expires,
        days=left / 86_400,
        token_known=_is_among(token, lets_in) if isinstance(token, str) and token.strip("*") else None,
    )


def unsubscribe_vicai(settings: Settings) -> bool:
    """End Vic.ai's subscription, and let its tokens in no longer; False if there was none.

    Raises:
        Stop: it may not be ended. Outage: Vic.ai failed for too long.
    """
    there = True
    try:
        client(settings).send("unsubscribe")
    except NotFound:
        there = False
    except (Forbidden, Refused) as error:
        raise Stop(str(error)) from None
    with settings.tokens.changing():
        settings.tokens.write(replace_vicai(settings.tokens.read(), ()))
    return there


def replace_vicai(tokens: Tokens, vicai: tuple[Token, ...]) -> Tokens:
    """The tokens with others of Vic.ai."""
    return Tokens(vicai, tokens.ivesk)


def _next_token(settings: Settings, known: Tokens, expires: str, now: int, *, keep: bool) -> Token:
    if settings.vicai_token:
        return Token(settings.vicai_token[0], instants.text(now), expires)
    if keep and known.vicai:
        return Token(known.vicai[0].token, known.vicai[0].made_at, expires)
    return Token(secrets.token_urlsafe(48), instants.text(now), expires)


# Įvesk


def subscribe_ivesk(settings: Settings, *, name: str, events: Sequence[str], new_secret: bool) -> None:
    """Subscribe to Įvesk's events; asked twice for the same address, it stays one subscription.

    Args:
        settings: where, and the secret, if it is not made here.
        name: of the subscription.
        events: which.
        new_secret: whether another secret takes its place beside the known ones.

    Raises:
        Stop: Įvesk does not take it. Outage: it failed for too long; ask again.
    """
    url = public_url(settings, "ivesk")
    given = settings.credentials("ivesk", "api_key")
    for event in events:
        if event not in IVESK_EVENTS:
            raise Stop(f"--events: there is no event {event!r}; known are {', '.join(IVESK_EVENTS)}.")
    secret = _next_secret(settings, new=new_secret)
    client = IveskClient(given["api_key"], given.get("api_url", DEFAULT_URL), timeout=TIMEOUT, user_agent=AGENT)
    for event in events:
        client.subscribe(name, event, url, secret)


def allowed_topics(settings: Settings) -> list[AllowedTopic]:
    """Return the topics of Įvesk's subscriptions that the receiver has confirmed, or is about to.

    Raises:
        Stop: the inbox cannot be opened. Outage: it cannot be read.
    """
    with opened(settings.inbox) as (inbox, _):
        return inbox.allowed_topics()


def _next_secret(settings: Settings, *, new: bool) -> str:
    if settings.ivesk_secret:
        return settings.ivesk_secret[0]
    with settings.tokens.changing():
        known = settings.tokens.read()
        if known.ivesk and not new:
            return known.ivesk[0].secret
        made = Secret(secrets.token_urlsafe(32), instants.text(time.time_ns() // 1_000_000))
        settings.tokens.write(Tokens(known.vicai, (made, *known.ivesk)))
    time.sleep(1.0)
    return made.secret


def _is_among(token: str, tokens: Sequence[str]) -> bool:
    return any([hmac.compare_digest(token.encode(), one.encode()) for one in tokens])  # noqa: C419 - all of them


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
