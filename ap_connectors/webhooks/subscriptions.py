"""Subscriptions: tell the services where to call, with which token or secret, and until when."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ap_connectors.core import instants, validate
from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.ivesk import settings as ivesk
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.vicai import settings as vicai
from ap_connectors.vicai.client import Forbidden, NotFound, Refused, VicaiClient
from ap_connectors.webhooks import event_kinds
from ap_connectors.webhooks.config_file import did_you_mean, is_close
from ap_connectors.webhooks.database import now, now_ms
from ap_connectors.webhooks.event_kinds import SYNC
from ap_connectors.webhooks.inbox import AllowedTopic
from ap_connectors.webhooks.runs import opened
from ap_connectors.webhooks.settings import PREFIX, URL_EXAMPLE, Settings
from ap_connectors.webhooks.tokens import Secret, Token, Tokens

IVESK_EVENTS = ("on_exported", "on_digitized")

_SYNCHRONIZED = {
    "accounts": "synchronizeAccounts",
    "dimensions": "synchronizeDimensions",
    "paymentTerms": "synchronizePaymentTerms",
    "purchaseOrders": "synchronizePurchaseOrders",
    "vatCodes": "synchronizeVatCodes",
    "vendors": "synchronizeVendors",
}

_LOG = logging.getLogger("ap_connectors.webhooks.subscriptions")

_AGENT = "ap-connectors ap-webhooks"
_TIMEOUT = 60.0
_OVERLAP_MS = 86_400_000
RELOAD_SECONDS = 1.0
"""By then a running receiver has noticed a new token: it looks at the file twice a second."""


@dataclass(frozen=True)
class Subscription:
    """Vic.ai's subscription as the service shows it, without its token.

    Args:
        callback_url: where it calls.
        events: for which events.
        expires_at: until when, in UTC; None where the service knows no end.
        days: that are left; negative when it has expired; None likewise.
        token_known: whether the receiver accepts its token; None where Vic.ai does not show it.
    """

    callback_url: str
    events: tuple[str, ...]
    expires_at: str | None
    days: float | None
    token_known: bool | None


def vicai_client(settings: Settings) -> VicaiClient:
    """Return the client of Vic.ai that the settings describe.

    Raises:
        Stop: a setting is missing or wrong.
    """
    return vicai.client(settings.credentials("vicai", *vicai.REQUIRED), timeout=_TIMEOUT, user_agent=_AGENT)


def ivesk_client(settings: Settings) -> IveskClient:
    """Return the client of Įvesk that the settings describe.

    Raises:
        Stop: a setting is missing or wrong.
    """
    return ivesk.client(settings.credentials("ivesk", *ivesk.REQUIRED), timeout=_TIMEOUT, user_agent=_AGENT)


# Vic.ai


def subscribe_vicai(
    settings: Settings, *, days: float, events: Sequence[str], keep_token: bool, forget_old: bool
) -> Subscription:
    """Subscribe to Vic.ai's events, or renew the subscription.

    The receiver accepts a new token before Vic.ai learns of it, and the old ones until they expire.

    Args:
        settings: where to call, and the token, unless one is to be created.
        days: until the subscription expires.
        events: which; empty = those of the existing subscription, else all.
        keep_token: use the newest token again.
        forget_old: accept only this token from now on.

    Raises:
        Stop: Vic.ai refused it. Outage: it failed for too long and may have either token; all are accepted.
    """
    url = callback_url(settings, "vicai")
    check_vicai_events(events)
    client, before = vicai_client(settings), status_vicai(settings)
    if before is not None and before.callback_url.rstrip("/") != url:
        _LOG.warning(
            "vicai: this takes the place of the subscription that calls %s, which gets no events any more.",
            before.callback_url,
        )
    # Today's service ignores it, and that of API 0.20.0 demands it.
    expires_at = instants.text(now_ms() + int(days * 86_400_000))
    with settings.tokens.locked():
        known = settings.tokens.read()
        live = known.live()
        token = _next_token(settings, live, expires_at, keep=keep_token)
        is_configured = token.token in settings.vicai_token
        others = tuple(one for one in live.vicai if one.token != token.token)
        if not is_configured:
            settings.tokens.write(Tokens((token, *others), live.ivesk))
            time.sleep(RELOAD_SECONDS)
        order: dict[str, Any] = {"callbackUrl": url, "accessToken": token.token, "expiresAt": expires_at}
        if events:
            order["events"] = list(events)
        try:
            client.send("subscribe", order)
        except Outage:
            raise
        except ApError as error:
            settings.tokens.write(known)
            raise Stop(str(error)) from None
        found = status_vicai(settings)
        if found is None:
            raise Stop(
                "vicai: the subscription was accepted, but Vic.ai does not have it now. Has it been ended since?"
            )
        if not is_configured and found.expires_at is None:
            token = msgspec.structs.replace(token, expires_at=None)
        kept = [one if one.subscription else replaced(one) for one in others if one.subscription or not forget_old]
        own = () if is_configured else (token,)
        settings.tokens.write(Tokens((*own, *kept), live.ivesk))
    return found


def status_vicai(settings: Settings) -> Subscription | None:
    """Return Vic.ai's subscription, or None.

    Raises:
        Stop: it may not be read. Outage: Vic.ai failed for too long.
    """
    try:
        found = vicai_client(settings).found("getSubscription")
    except (Forbidden, Refused) as error:
        raise Stop(str(error)) from None
    if not found or not found.get("callbackUrl"):
        return None
    token = found.get("accessToken")
    expires_at = str(found["expiresAt"]) if found.get("expiresAt") else None
    accepted = settings.with_live_tokens().vicai_token
    return Subscription(
        callback_url=str(found["callbackUrl"]),
        events=tuple(str(one) for one in found.get("events") or ()),
        expires_at=expires_at,
        days=None if expires_at is None else _days_until(expires_at),
        token_known=_is_among(token, accepted) if isinstance(token, str) and token.strip("*") else None,
    )


def _days_until(expires_at: str) -> float:
    try:
        return (instants.milliseconds(expires_at) - now_ms()) / 86_400_000
    except ValueError:
        raise Stop(f"vicai: the subscription's expiresAt is not an instant: {expires_at!r}.") from None


def replaced(token: Token) -> Token:
    """Return a token that another one replaces: it is accepted for as long as deliveries with it may be under way."""
    if token.expires_at is not None:
        return token
    return msgspec.structs.replace(token, expires_at=instants.text(now_ms() + _OVERLAP_MS))


def unsubscribe_vicai(settings: Settings) -> bool:
    """End Vic.ai's subscription, and forget its tokens; return False if there was no subscription.

    Raises:
        Stop: it may not be ended. Outage: Vic.ai failed for too long.
    """
    existed = True
    try:
        vicai_client(settings).send("unsubscribe")
    except NotFound:
        existed = False
    except (Forbidden, Refused) as error:
        raise Stop(str(error)) from None
    with settings.tokens.locked():
        left = settings.tokens.read()
        settings.tokens.write(Tokens(tuple(one for one in left.vicai if one.subscription), left.ivesk))
    return existed


def synchronize_vicai(settings: Settings, resources: Sequence[str]) -> list[str]:
    """Ask Vic.ai to start synchronisations; return lines that say so.

    Args:
        settings: the credentials.
        resources: `accounts`, `purchase_orders` and so on, in any spelling.

    Raises:
        Stop: this runs inside a run that a synchronisation started; a resource is unknown; Vic.ai refuses, or has no
            such call. Outage: it failed for too long.
    """
    if f"vicai.{SYNC}" in os.environ.get(f"{PREFIX}KINDS", "").split(","):
        raise Stop("synchronize: this run was started by a synchronisation, and another one would start it again.")
    by_folded = {_folded(name): name for name in _SYNCHRONIZED}
    for resource in resources:
        if _folded(resource) not in by_folded:
            raise Stop(f"synchronize: there is no resource {resource!r}.{did_you_mean(resource, _SYNCHRONIZED)}")
    client = vicai_client(settings)
    lines = []
    for name in dict.fromkeys(by_folded[_folded(resource)] for resource in resources):
        try:
            client.send(_SYNCHRONIZED[name])
        except (Forbidden, NotFound, Refused) as error:
            # API 0.20.0 takes it for the id of a vendor.
            absent = error.status in {404, 405}
            why = f"vicai: this service cannot be asked for a synchronisation of {name}; today's Vic.ai can."
            raise Stop(why if absent else str(error)) from None
        lines.append(f"vicai: asked for a synchronisation of {name}; a syncRequest follows.")
    return lines


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _next_token(settings: Settings, live: Tokens, expires_at: str, *, keep: bool) -> Token:
    if settings.vicai_token:
        return Token(settings.vicai_token[0], now(), expires_at)
    newest = next((one for one in live.vicai if not one.subscription), None)
    if keep and newest is not None:
        return Token(newest.token, newest.made_at, expires_at)
    return Token(secrets.token_urlsafe(48), now(), expires_at)


def _is_among(token: str, tokens: Sequence[str]) -> bool:
    # A list, because all are to be compared: the time must not tell which one is similar.
    return any([hmac.compare_digest(token.encode(), one.encode()) for one in tokens])  # noqa: C419


# Įvesk


def subscribe_ivesk(settings: Settings, *, name: str, events: Sequence[str], new_secret: bool) -> None:
    """Subscribe to Įvesk's events; a repetition for the same address does not make a second subscription.

    Args:
        settings: where to call, and the secret, unless one is to be created.
        name: of the subscription.
        events: which.
        new_secret: create another secret; the known ones stay accepted.

    Raises:
        Stop: Įvesk refused it. Outage: it failed for too long; try again.
    """
    url = callback_url(settings, "ivesk")
    client = ivesk_client(settings)
    _check_events(events, IVESK_EVENTS)
    secret = _next_secret(settings, new=new_secret)
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
    with settings.tokens.locked():
        known = settings.tokens.read()
        if known.ivesk and not new:
            return known.ivesk[0].secret
        secret = Secret(secrets.token_urlsafe(32), now())
        settings.tokens.write(Tokens(known.vicai, (secret, *known.ivesk)))
    time.sleep(RELOAD_SECONDS)
    return secret.secret


# Both


def callback_url(settings: Settings, path: str) -> str:
    """Return the address that a service is to call.

    Raises:
        Stop: public_url is missing, or not one that secrets may be sent to.
    """
    if not settings.public_url:
        raise Stop("public_url is missing: set it to the https address at which the services reach the receiver.")
    validate.private_address("public_url", settings.public_url, URL_EXAMPLE, allow_http=bool(settings.allow_http))
    return f"{settings.public_url}/{path}"


def check_vicai_events(events: Sequence[str]) -> None:
    """Refuse misspelt names; Vic.ai may have more events than are known here."""
    known = ("all", *event_kinds.of_vicai())
    for event in events:
        if event not in known and is_close(event, known):
            raise Stop(f"--events: there is no event {event!r}.{did_you_mean(event, known)}")


def _check_events(events: Sequence[str], known: Sequence[str]) -> None:
    for event in events:
        if event not in known:
            raise Stop(f"--events: there is no event {event!r}. Known are: {', '.join(known)}.")
