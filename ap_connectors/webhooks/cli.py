"""`ap-webhooks`: subscribe to the services' events, receive them, act on them, and prove that no event was lost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from ap_connectors.core import cli
from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import printable
from ap_connectors.http import shutdown
from ap_connectors.webhooks import settings, status
from ap_connectors.webhooks.config_file import UNSET, duration
from ap_connectors.webhooks.settings import Settings

DONE, PROBLEM, FAILED = 0, 1, 2

Run = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        return cli.main(_parser(), arguments)
    finally:
        shutdown.request()


def _say(text: str) -> None:
    print("\n".join(map(printable, text.split("\n"))), flush=True)  # noqa: T201


def _show(given: argparse.Namespace, found: Any, lines: Sequence[str]) -> None:
    if given.format != "json":
        _say("\n".join(lines))
        return
    text = json.dumps(found, ensure_ascii=False, indent=2)
    print("\n".join(map(_json_line, text.split("\n"))), flush=True)  # noqa: T201


def _json_line(line: str) -> str:
    """Return a line of JSON with escapes for what JSON takes as it is and a terminal may act on."""
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


# Commands


def _serve(_: argparse.Namespace, chosen: Settings) -> int:
    # What only serving needs takes long to load.
    from ap_connectors.webhooks.serve import serve  # noqa: PLC0415

    serve(
        chosen,
        ready=lambda url: _say(f"ap-webhooks receives at {url}"),
        shows=lambda url: _say(f"ap-webhooks shows its page at {url}"),
    )
    return DONE


def _subscribe(given: argparse.Namespace, chosen: Settings) -> int:
    from ap_connectors.webhooks import company_subscriptions, subscriptions  # noqa: PLC0415

    if given.service == "ivesk":
        events = given.events or list(subscriptions.IVESK_EVENTS)
        subscriptions.subscribe_ivesk(chosen, name=given.name, events=events, new_secret=given.new_secret)
        _say(
            f"ivesk: asked to send {' and '.join(events)} to {chosen.public_url}/ivesk. Įvesk now asks the receiver to "
            "confirm; see `ap-webhooks status ivesk`."
        )
        return DONE
    if given.companies:
        _say("\n".join(company_subscriptions.subscribe(chosen, given.companies, given.events or ())))
        return DONE
    found = subscriptions.subscribe_vicai(
        chosen,
        days=given.days,
        events=given.events or (),
        keep_token=given.keep_token,
        forget_old=given.forget_old,
    )
    _say("\n".join(status.subscription(found)))
    return DONE


def _status(given: argparse.Namespace, chosen: Settings) -> int:
    from ap_connectors.webhooks import company_subscriptions, subscriptions  # noqa: PLC0415

    if given.service == "ivesk":
        topics = subscriptions.allowed_topics(chosen)
        found, lines, good = status.ivesk_status(topics, chosen.ivesk_topics)
    else:
        subscription = subscriptions.status_vicai(chosen)
        wanted = f"{chosen.public_url}/vicai" if chosen.public_url else None
        beside = company_subscriptions.status(chosen)
        found, lines, good = status.vicai_status(subscription, wanted, () if beside else chosen.rules)
        if beside:
            own, all_there = status.companies(beside)
            lines = [*(lines if subscription else []), *own]
            good = all_there and (good or subscription is None)
            found = {**found, "subscribed": subscription is not None or all_there, "companies": beside}
    _show(given, found, lines)
    return DONE if good else PROBLEM


def _unsubscribe(given: argparse.Namespace, chosen: Settings) -> int:
    from ap_connectors.webhooks import company_subscriptions, subscriptions  # noqa: PLC0415

    if given.service == "ivesk":
        _say(
            "ivesk: its API has no call that ends a subscription. Visit the UnsubscribeURL of one of its messages, or "
            "ask Įvesk's support, naming the address. Then remove the secret from token_file or ivesk_secret, so that "
            "the receiver refuses what still comes."
        )
        return DONE
    if given.companies:
        _say("\n".join(company_subscriptions.unsubscribe(chosen, given.companies)))
        return DONE
    there = subscriptions.unsubscribe_vicai(chosen)
    _say("vicai: the subscription is ended." if there else "vicai: there was no subscription.")
    return DONE


def _synchronize(given: argparse.Namespace, chosen: Settings) -> int:
    from ap_connectors.webhooks import subscriptions  # noqa: PLC0415

    for line in subscriptions.synchronize_vicai(chosen, given.resources):
        _say(line)
    return DONE


def _events(given: argparse.Namespace, chosen: Settings) -> int:
    found, lines = status.events(chosen, everything=given.all, days=given.days)
    _show(given, found, lines)
    return DONE


def _runs(given: argparse.Namespace, chosen: Settings) -> int:
    found, lines = status.runs(chosen, given.last)
    _show(given, found, lines)
    return DONE


def _retry(given: argparse.Namespace, chosen: Settings) -> int:
    if not given.ids and not given.failed and not given.event:
        raise Stop("retry: give the numbers of runs (see `ap-webhooks runs`), or --event N, or --failed.")
    for line in status.retry(chosen, run_ids=given.ids, event_ids=given.event, failed=given.failed):
        _say(line)
    return DONE


def _purge(given: argparse.Namespace, chosen: Settings) -> int:
    seconds = chosen.keep_events if given.older_than is None else given.older_than
    if seconds == UNSET:
        raise Stop("purge: give --older-than, such as 180d, or set keep_events.")
    if seconds < settings.SHORTEST_KEPT:
        raise Stop(f"--older-than: {settings.TOO_SHORT}")
    from ap_connectors.webhooks.purge import purge  # noqa: PLC0415
    from ap_connectors.webhooks.runs import opened  # noqa: PLC0415

    with opened(chosen.inbox) as (inbox, _):
        _say(str(purge(chosen, inbox, seconds)))
    return DONE


def _reconcile(given: argparse.Namespace, chosen: Settings) -> int:
    from ap_connectors.webhooks import gaps, reconcile  # noqa: PLC0415
    from ap_connectors.webhooks.runs import opened  # noqa: PLC0415

    with opened(chosen.inbox) as (inbox, _):
        covered = gaps.covered(gaps.last(inbox.database))
    report = reconcile.compare(chosen, given.services, days=given.days, covered=covered)
    mended = gaps.repair(chosen, report) if given.mend else []
    with opened(chosen.inbox) as (inbox, _):
        gaps.keep(inbox.database, report, mended)
    _show(given, report.as_json() | {"mended": mended}, [*reconcile.lines(report, given.named), *mended])
    return PROBLEM if report.gaps else DONE


# Arguments


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser("ap-webhooks", __doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Run, words: str, failed: int = PROBLEM, *, shows: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("--config", default="webhooks.yml", metavar="FILE", help="settings (default: %(default)s)")
        if shows:
            command.add_argument("--format", choices=["table", "json"], default="table")
        level = "info" if name == "serve" else "warning"
        cli.runs(command, lambda given: run(given, settings.read(given.config)), failed=failed, log_level=level)
        return command

    add("serve", _serve, "receive events and act on them, until ended")
    command = add("subscribe", _subscribe, "subscribe to a service's events, or renew the subscription")
    _service(command)
    command.add_argument("--events", type=_list, metavar="A,B", help="which events (default: all, or those of before)")
    command.add_argument(
        "--days", type=_days, default=90.0, help="vicai: until it expires, where it does (default: 90)"
    )
    command.add_argument("--keep-token", action="store_true", help="vicai: renew without a new token")
    command.add_argument("--forget-old", action="store_true", help="vicai: refuse older tokens from now on")
    _companies(command)
    command.add_argument("--name", default="ap-webhooks", help="ivesk: of the subscription (default: %(default)s)")
    command.add_argument("--new-secret", action="store_true", help="ivesk: with another secret, beside the known ones")
    _service(add("status", _status, "show the subscription; status 1 if it is missing or not valid", shows=True))
    command = add("unsubscribe", _unsubscribe, "end a subscription")
    _service(command)
    _companies(command)
    command = add("synchronize", _synchronize, "ask Vic.ai to start a synchronisation with the ERP")
    command.add_argument("service", choices=["vicai"])
    command.add_argument("resources", nargs="+", metavar="RESOURCE", help="accounts, dimensions, vendors, ...")
    command = add("reconcile", _reconcile, "compare the services with the inbox and the runs; status 1: gaps", FAILED)
    command.add_argument("services", nargs="*", metavar="SERVICE", help="ivesk, vicai (default: both)")
    command.add_argument(
        "--days", type=_days, help="how far to look back (default: 7, or to where the last comparison ended)"
    )
    command.add_argument(
        "--mend", action="store_true", help="close the gaps: run the rules' commands, fetch missing invoices"
    )
    command.add_argument("--named", type=int, default=20, metavar="N", help="name so many gaps of a kind in the table")
    command.add_argument("--format", choices=["table", "json"], default="table")
    command = add("events", _events, "list the events that are not processed yet", shows=True)
    command.add_argument("--all", action="store_true", help="also those that were processed")
    command.add_argument("--days", type=_days, default=30.0, help="how far to look back (default: 30)")
    command = add("runs", _runs, "list the latest runs", shows=True)
    command.add_argument("--last", type=int, default=20, metavar="N", help="how many (default: 20)")
    command = add("retry", _retry, "make runs due again, now")
    command.add_argument("ids", nargs="*", type=int, metavar="RUN", help="numbers of failed or waiting runs")
    command.add_argument("--event", action="append", type=int, default=[], metavar="N", help="an event, by its number")
    command.add_argument("--failed", action="store_true", help="all runs that failed for good")
    command = add("purge", _purge, "delete old events that are processed")
    command.add_argument(
        "--older-than", type=_duration, metavar="180d", help="how old; 35d at least (default: keep_events)"
    )
    return parser


def _service(command: argparse.ArgumentParser) -> None:
    command.add_argument("service", choices=["vicai", "ivesk"])


def _companies(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--companies",
        type=_list,
        metavar="A,B",
        help="vicai: of these companies (v2), beside other subscriptions; or all",
    )


def _list(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = 0
    if not 0 < days <= 36_500:
        raise argparse.ArgumentTypeError("must be a number of days, at most 36,500")
    return days


def _duration(value: str) -> float:
    try:
        return duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
