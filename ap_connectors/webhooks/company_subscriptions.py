"""Subscriptions of Vic.ai's v2: one for each company, beside the account's own and those of other receivers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ap_connectors.core.errors import Outage, Stop
from ap_connectors.core.raw_json import NULL, JsonObject, Record, text
from ap_connectors.vicai.client import Forbidden, NotFound, Refused, VicaiClient
from ap_connectors.webhooks.database import now
from ap_connectors.webhooks.settings import Settings
from ap_connectors.webhooks.subscriptions import (
    RELOAD_SECONDS,
    callback_url,
    check_vicai_events,
    replaced,
    status_vicai,
    vicai_client,
)
from ap_connectors.webhooks.tokens import Token, Tokens


@dataclass(frozen=True)
class Company:
    """A company that the credentials may see."""

    id: str
    name: str


def subscribe(settings: Settings, wanted: Sequence[str], events: Sequence[str]) -> list[str]:
    """Subscribe to the events of companies, or renew these subscriptions; return lines that say so.

    Args:
        settings: where to call.
        wanted: ids or names of companies; `all` = every one that the credentials may see.
        events: which; empty = those of before, else all.

    Raises:
        Stop: a company is unknown; Vic.ai refuses, or has no such call. Outage: it failed for too long.
    """
    url = callback_url(settings, "vicai")
    check_vicai_events(events)
    client = vicai_client(settings)
    chosen = _companies(client, wanted)
    made = {one.id: Token(secrets.token_urlsafe(48), now(), None, one.id) for one in chosen}
    with settings.tokens.locked():
        before, sent = settings.tokens.read().live(), set[str]()
        settings.tokens.write(Tokens((*made.values(), *before.vicai), before.ivesk))
        time.sleep(RELOAD_SECONDS)
        try:
            for company in chosen:
                _send(client, company, url, made[company.id].token, events)
                sent.add(company.id)
        finally:
            # A company that Vic.ai does not call with the new token yet is called with the one before.
            others = [replaced(one) if one.subscription in sent else one for one in before.vicai]
            settings.tokens.write(Tokens((*made.values(), *others), before.ivesk))
    return [f"vicai: {company.name}: {', '.join(events) or 'all, or those of before,'} to {url}" for company in chosen]


def status(settings: Settings) -> list[dict[str, Any]]:
    """Return the companies' subscriptions that call this receiver; empty if it never made one.

    Raises:
        Stop: they may not be read. Outage: Vic.ai failed for too long.
    """
    known = {one.subscription for one in settings.tokens.read().vicai if one.subscription}
    if not known:
        return []
    url, client = callback_url(settings, "vicai"), vicai_client(settings)
    found = []
    for company in _companies(client, ["all"]):
        there = _existing(client, company, url) if company.id in known else None
        if there is not None:
            found.append({"company": company.name, "company_id": company.id, "events": there["events"]})
        elif company.id in known:
            found.append({"company": company.name, "company_id": company.id, "events": None})
    return found


def kinds_of(settings: Settings) -> set[str] | None:
    """Return the kinds of events that are subscribed for this receiver; None if that is all of them, or not known.

    There are none if no subscription calls it, or not any more.

    Raises:
        Outage: Vic.ai failed for too long.
    """
    if not settings.public_url:
        return None
    try:
        own, companies = status_vicai(settings), status(settings)
    except Outage:
        raise
    except Stop:
        return None
    found = {event for one in companies for event in one["events"] or ()}
    is_here = own is not None and own.callback_url.rstrip("/") == f"{settings.public_url}/vicai"
    if own is not None and is_here and (own.days is None or own.days > 0):
        found |= set(own.events) or {"all"}
    return None if "all" in found else found


def unsubscribe(settings: Settings, wanted: Sequence[str]) -> list[str]:
    """End subscriptions of companies that call this receiver, and forget their tokens; return lines that say so.

    Raises:
        Stop: a company is unknown; they may not be ended. Outage: Vic.ai failed for too long.
    """
    url, client = callback_url(settings, "vicai"), vicai_client(settings)
    lines = []
    for company in _companies(client, wanted):
        found = _existing(client, company, url)
        if found is not None:
            try:
                client.send("deleteSubscription", company_id=company.id, id=found["id"])
            except NotFound:
                pass
            except (Forbidden, Refused) as error:
                raise Stop(str(error)) from None
        with settings.tokens.locked():
            left = settings.tokens.read()
            kept = tuple(one for one in left.vicai if one.subscription != company.id)
            settings.tokens.write(Tokens(kept, left.ivesk))
        ended = "the subscription is ended" if found else "there was no subscription"
        lines.append(f"vicai: {company.name}: {ended}.")
    return lines


def _companies(client: VicaiClient, wanted: Sequence[str]) -> list[Company]:
    try:
        found = [
            Company(text(one, "id") or "", text(one, "name") or "")
            for page in client.pages_v2("listCompaniesV2")
            for one in page
        ]
    except NotFound:
        raise Stop(
            "vicai: this service has no subscriptions of companies (v2); subscribe without --companies."
        ) from None
    except (Forbidden, Refused) as error:
        raise Stop(str(error)) from None
    if list(wanted) == ["all"]:
        return found
    chosen = []
    for name in wanted:
        same = [one for one in found if name in (one.id, one.name)]
        if len(same) != 1:
            known = ", ".join(f"{one.name} ({one.id})" for one in found[:20])
            problem = "there is no company" if not same else "there are several companies"
            raise Stop(f"--companies: {problem} {name!r}. There are: {known}.")
        chosen += same
    return chosen


def _existing(client: VicaiClient, company: Company, url: str) -> dict[str, Any] | None:
    try:
        pages = list(client.pages_v2("listSubscriptions", company_id=company.id))
    except (Forbidden, NotFound, Refused) as error:
        raise Stop(str(error)) from None
    for one in (one for page in pages for one in page):
        if (text(one, "callback_url") or "").rstrip("/") == url:
            return {"id": text(one, "id"), "events": _events(one)}
    return None


def _events(one: Record) -> list[str]:
    return [str(event) for event in msgspec.json.decode(bytes(one.get("events", NULL))) or ()]


def _send(client: VicaiClient, company: Company, url: str, token: str, events: Sequence[str]) -> None:
    body: dict[str, Any] = {"callback_url": url, "access_token": token, "auth_method": "bearer"}
    if events:
        body["events"] = list(events)

    def find_done() -> JsonObject | None:
        return _existing(client, company, url)

    try:
        found = _existing(client, company, url)
        if found is None:
            client.send("createSubscription", body, find_done=find_done, company_id=company.id)
        else:
            client.send("updateSubscription", body, company_id=company.id, id=found["id"])
    except (Forbidden, NotFound, Refused) as error:
        raise Stop(str(error)) from None
