"""Settings of `ap-webhooks`: one YAML file, and environment variables for whatever should not be in it."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ap_connectors.core import validate
from ap_connectors.core.errors import Stop
from ap_connectors.core.settings import closest, unknown_variables, warn_if_open
from ap_connectors.webhooks import event_kinds, rules
from ap_connectors.webhooks.config_file import (
    UNSET,
    PositiveSeconds,
    Seconds,
    Section,
    Text,
    Texts,
    Truth,
    WrongSetting,
    open_file,
)
from ap_connectors.webhooks.inbox_url import address, file_of, passwords
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.tokens import TokenFile

_LOG = logging.getLogger("ap_connectors.webhooks.settings")

PREFIX = "AP_WEBHOOKS_"
URL_EXAMPLE = "https://hooks.example.com"

SHORTEST_KEPT = 35 * 86_400
TOO_SHORT = (
    "must be 35d or more: for 30 days the services may send an event again, which would be new to an inbox without it."
)

_SHORTEST_SECRET = 16
_SECRETS = ("vicai_token", "ivesk_secret", "vicai_client_secret", "ivesk_api_key", "page_token")

Megabytes = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All settings. A service without a token or secret is not set up: what it sends is refused.

    Args:
        inbox: where deliveries are stored: a file (SQLite) or a `postgresql://` URL.
        host: address to listen on; put a proxy with TLS in front of it.
        port: port to listen on; 0 = any free one.
        page_port: port of the page with runs, events, gaps and retry, for people; 0 = any free one; without it the
            page is not served.
        page_host: address of the page; another than this machine's needs `page_token`.
        page_token: password of the page, of 16 characters at least; whoever opens it gives any name with it.
        public_url: address (https) at which the services reach the receiver; they call `/vicai/...` and `/ivesk` below
            it.
        vicai_token: one or several tokens that Vic.ai may present, several while one replaces another; unless set,
            `subscribe` creates one.
        ivesk_secret: one or several secrets that the target URL of Įvesk's subscription may have; unless set,
            `subscribe` creates one.
        token_file: file for what `subscribe` creates (mode 0600); unless set, `.NAME-tokens.json` beside the settings
            file NAME.yml.
        ivesk_topics: SNS topics that are accepted; unless set, those that confirm a subscription, while they belong to
            the account of the first one.
        max_age: how old an SNS message may be. SNS retries for up to 100 minutes, with the time of the first try.
        max_skew: how far ahead of our clock it may be.
        max_body_mb: largest size of an invoice with its document; Vic.ai's own limit for documents is 100 MB.
        max_event_mb: largest size of any other delivery.
        max_waiting_mb: what all deliveries in progress may hold in memory.
        body_seconds: how long a delivery may take to arrive.
        commit_seconds: how long it may wait to be stored before the answer is 503.
        vicai_client_id: credentials as tap-vicai's, like the next three; for `subscribe`, `status`, `unsubscribe` and
            `reconcile`.
        vicai_client_secret: likewise.
        vicai_region: likewise.
        vicai_api_url: likewise.
        ivesk_api_key: credentials as tap-ivesk's, like the next one.
        ivesk_api_url: likewise.
        allow_http: send credentials over http also to another machine than this one.
        rules: which events run which command, see below; or the name of another YAML file with the list.
        runs_dir: folder for the output of runs.
        keep_logs: how many files of output are kept.
        keep_events: how long processed events are kept, such as 180d (35d at least); unless set, for ever.
        first_pause: before a failed run is retried; doubled for each further try.
        longest_pause: the longest such pause; an hour, or `first_pause` if that is longer, unless set.
        runs_at_once: how many runs, of different rules, may be active.
        stop_seconds: how long active runs may continue after SIGTERM.
        grace: how old an event must be before `reconcile` misses it.
        ivesk_test_hosts: `host:port` on this machine (`127.0.0.1:8722`) that stand in for SNS, over http. For tests
            only.

    Raises:
        Stop: a setting is wrong; the message names it.
    """

    inbox: Text = "webhooks.db"
    host: Text = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8723
    page_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    page_host: Text = "127.0.0.1"
    page_token: Text = ""
    public_url: Text = ""
    vicai_token: Texts = Texts()
    ivesk_secret: Texts = Texts()
    token_file: Path | None = None
    ivesk_topics: Texts = Texts()
    max_age: PositiveSeconds = PositiveSeconds(7200)
    max_skew: Seconds = Seconds(300)
    max_body_mb: Megabytes = 110
    max_event_mb: Megabytes = 8
    max_waiting_mb: Megabytes = 512
    body_seconds: PositiveSeconds = PositiveSeconds(30)
    commit_seconds: PositiveSeconds = PositiveSeconds(4)
    vicai_client_id: Text = ""
    vicai_client_secret: Text = ""
    vicai_region: Text = ""
    vicai_api_url: Text = ""
    ivesk_api_key: Text = ""
    ivesk_api_url: Text = ""
    allow_http: Truth = Truth(0)
    rules: tuple[Rule, ...] = ()
    runs_dir: Path = Path("runs")
    keep_logs: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 200
    keep_events: Seconds = UNSET
    first_pause: Seconds = Seconds(60)
    longest_pause: Seconds = UNSET
    runs_at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    stop_seconds: Seconds = Seconds(30)
    grace: Seconds = Seconds(900)
    ivesk_test_hosts: Texts = Texts()

    def __post_init__(self) -> None:
        for name in ("vicai_token", "ivesk_secret", "ivesk_topics"):
            if not all(text.strip() for text in getattr(self, name)):
                raise WrongSetting("one of them is empty, and an empty one would accept every sender.", name)
        for index, topic in enumerate(self.ivesk_topics):
            if not topic.startswith("arn:"):
                problem = f"{topic!r} is not an ARN such as arn:aws:sns:eu-west-1:123456789012:name."
                raise WrongSetting(problem, "ivesk_topics", index)
        for index, place in enumerate(self.ivesk_test_hosts):
            if not _is_loopback(place):
                problem = f"{place!r} is not a port of this machine such as 127.0.0.1:8722."
                raise WrongSetting(problem, "ivesk_test_hosts", index)
        if self.page_token and len(self.page_token) < _SHORTEST_SECRET:
            raise WrongSetting(
                f"must be {_SHORTEST_SECRET} characters or more, so that it is not guessed.", "page_token"
            )
        if self.page_port is not None and not self.page_token and not validate.is_this_machine(self.page_host):
            problem = f"{self.page_host} lets other machines see the page: set page_token, or leave page_host out."
            raise WrongSetting(problem, "page_host")
        if self.public_url:
            self.public_url = validate.address("public_url", self.public_url, URL_EXAMPLE)
        if self.keep_events != UNSET and self.keep_events < SHORTEST_KEPT:
            raise WrongSetting(TOO_SHORT, "keep_events")
        if self.longest_pause == UNSET:
            self.longest_pause = Seconds(max(3600, self.first_pause))
        if self.longest_pause < self.first_pause:
            raise WrongSetting("must not be shorter than first_pause.", "longest_pause")

    def __repr__(self) -> str:
        # Tokens and secrets must not appear in tracebacks.
        return "Settings(...)"

    def warnings(self) -> Iterator[str]:
        """Say what makes receiving less safe than it could be."""
        for name in ("vicai_token", "ivesk_secret"):
            if any(len(text) < _SHORTEST_SECRET for text in getattr(self, name)):
                service = name.partition("_")[0]
                yield (
                    f"{name}: is shorter than {_SHORTEST_SECRET} characters, so it can be guessed. Without it, "
                    f"`ap-webhooks subscribe {service}` makes a long one."
                )
        if not validate.is_this_machine(self.host):
            yield f"host: {self.host} lets other machines connect, without TLS. Only the proxy should reach this port."
        if self.page_token and self.page_port is None:
            yield "page_token: has no effect without page_port, the port of the page."
        if self.page_port is not None and not validate.is_this_machine(self.page_host):
            yield f"page_host: {self.page_host} lets other machines connect, and page_token goes there without TLS."
        for rule in self.rules:
            for event in rule.on:
                if event not in (*event_kinds.events(), "ivesk.*", "vicai.*"):
                    yield f"rules: {rule.shown}: {event} is not an event that is known here; it is taken as Vic.ai's."
        if self.ivesk_test_hosts:
            places = ", ".join(self.ivesk_test_hosts)
            yield f"ivesk_test_hosts: whatever {places} signs is taken for a message of SNS. It is for tests only."

    @property
    def secrets(self) -> list[str]:
        """What no log and no page shows."""
        found = [getattr(self, name) for name in _SECRETS]
        return [text for one in found for text in ((one,) if isinstance(one, str) else one) if text]

    @property
    def tokens(self) -> TokenFile:
        """The file with the tokens that `subscribe` created."""
        return TokenFile(self.token_file or Path(".webhooks-tokens.json"))

    def with_live_tokens(self) -> Settings:
        """Return the settings with the tokens and secrets that the token file has now, the newest first.

        Raises:
            Stop: it cannot be read.
        """
        live = self.tokens.read().live()
        return msgspec.structs.replace(
            self,
            vicai_token=_unique(*(one.token for one in live.vicai), *self.vicai_token),
            ivesk_secret=_unique(*(one.secret for one in live.ivesk), *self.ivesk_secret),
        )

    def credentials(self, service: str, *required: str) -> dict[str, Any]:
        """Return the settings of a service's client, by the names that its tap gives them.

        Raises:
            Stop: a required one is missing.
        """
        found = {
            name.removeprefix(f"{service}_"): value
            for name in _CREDENTIALS
            if name.startswith(service) and (value := getattr(self, name))
        }
        for name in required:
            if name not in found:
                full = f"{service}_{name}"
                raise Stop(
                    f"{full} is missing: set it in the file of --config, or as {PREFIX}{full.upper()} or "
                    f"TAP_{full.upper()} in the environment."
                )
        return found | ({"allow_http": True} if self.allow_http else {})


_CREDENTIALS = (
    "vicai_client_id",
    "vicai_client_secret",
    "vicai_region",
    "vicai_api_url",
    "ivesk_api_key",
    "ivesk_api_url",
)
"""Settings that are also looked up in the variables of the service's tap, such as TAP_VICAI_CLIENT_ID."""


def read(path: str) -> Settings:
    """Read the settings; relative paths in them start at the file's own folder.

    Raises:
        Stop: something is wrong; the message says in which line.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise Stop(f"--config: there is no file {file}; docs/webhooks.md shows an example.")
    folder = file.absolute().parent
    section = open_file(file)
    _check_environment()
    settings = section.read(Settings, PREFIX, rules=_rules(section, folder))
    settings.token_file = folder / (settings.token_file or f".{file.stem}-tokens.json")
    settings.runs_dir = folder / settings.runs_dir
    # The inbox is the same one wherever the command is run.
    place = address(settings.inbox)
    if inbox := file_of(place):
        settings.inbox = str(folder / inbox)
    if any(section.get(name) for name in _SECRETS) or (section.get("inbox") and any(passwords(place))):
        warn_if_open(file, "secrets")
    warn_if_open(settings.token_file, "secrets")
    for name in _CREDENTIALS:
        if not getattr(settings, name):
            setattr(settings, name, os.environ.get(f"TAP_{name.upper()}", "").strip())
    return settings


_OF_RUNS = {"run_id", "attempt", "event_ids", "event_count", "kinds", "companies", "request_id"}
"""What the commands of rules get under the same prefix."""


def _check_environment() -> None:
    """Refuse variables that are nearly a setting, and warn of others that set nothing."""
    known = [name for name in Settings.__struct_fields__ if name != "rules"]
    for name, variable in unknown_variables(known, PREFIX).items():
        if name in _OF_RUNS or variable.startswith(f"{PREFIX}TEST_"):
            continue
        if meant := closest(name, known):
            raise Stop(f"{variable} sets nothing; did you mean {PREFIX}{meant.upper()}?")
        _LOG.warning("%s is unknown and has no effect.", variable)


def _rules(section: Section, folder: Path) -> tuple[Rule, ...]:
    """Read the list of rules, or the file that is named instead."""
    found = section.get("rules")
    if found and found.text:
        other = open_file(folder / Path(found.text).expanduser())
        found = other.get("rules") or other
    return rules.read(found, folder) if found else ()


def _is_loopback(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback and port.isdecimal()
    except ValueError:
        return False


def _unique(*values: str) -> Texts:
    return Texts(dict.fromkeys(values))
