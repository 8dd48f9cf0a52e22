"""Settings of `ap-webhooks`: one YAML file, with secrets from the environment if you like."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ap_connectors.core import validate
from ap_connectors.core.errors import Stop
from ap_connectors.webhooks import config_file
from ap_connectors.webhooks import rules as of_rules
from ap_connectors.webhooks.config_file import Entry
from ap_connectors.webhooks.database import address, file_of
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.tokens import TokenFile

# What the receiver is set up with.


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


PREFIX = "AP_WEBHOOKS_"

_CREDENTIALS = {
    "vicai_client_id": "TAP_VICAI_CLIENT_ID",
    "vicai_client_secret": "TAP_VICAI_CLIENT_SECRET",
    "vicai_region": "TAP_VICAI_REGION",
    "vicai_api_url": "TAP_VICAI_API_URL",
    "ivesk_api_key": "TAP_IVESK_API_KEY",
    "ivesk_api_url": "TAP_IVESK_API_URL",
}
"""Where else they are looked for: the taps know them already."""

_RECEIVING = {
    "vicai_token": "vicai_tokens",
    "ivesk_secret": "ivesk_secrets",
    "ivesk_topics": "ivesk_topics",
    "ivesk_test_hosts": "test_hosts",
}
_SECONDS = ("max_age", "max_skew", "body_seconds", "commit_seconds")
_MEGABYTES = ("max_body_mb", "max_event_mb", "max_waiting_mb")
_OWN = (
    "inbox",
    "host",
    "port",
    "public_url",
    "token_file",
    "rules",
    "runs_dir",
    "keep_logs",
    "first_pause",
    "longest_pause",
    "runs_at_once",
    "stop_seconds",
    "grace",
)
KNOWN = (*_OWN, *_RECEIVING, *_SECONDS, *_MEGABYTES, *_CREDENTIALS)


@dataclass(frozen=True)
class Running:
    """How runs are run.

    Args:
        logs: folder of their output.
        keep: how many of these files are kept.
        first_pause: seconds before a failed run is repeated; doubled each time.
        longest_pause: seconds, at most.
        at_once: runs of different rules.
        stop_seconds: how long runs may go on when we are told to end.
    """

    logs: Path
    keep: int = 200
    first_pause: float = 60
    longest_pause: float = 3600
    at_once: int = 4
    stop_seconds: float = 30


@dataclass(frozen=True)
class Settings:
    """All settings.

    Args:
        receiving: of the receiver, with the tokens of the settings, without those of the token file.
        tokens: the file with the tokens that `subscribe` made.
        host: address to listen on.
        port: likewise.
        public_url: under which the services reach the receiver, or None.
        rules: what is done about events.
        running: how.
        credentials: `vicai_client_id` and so on, as far as they are known.
        grace: seconds that an event may be under way before it counts as missing.
    """

    receiving: Receiving
    tokens: TokenFile
    host: str
    port: int
    public_url: str | None
    rules: tuple[Rule, ...]
    running: Running
    credentials: Mapping[str, str]
    grace: float

    def accepting(self) -> Receiving:
        """The receiver's settings with the tokens that the token file holds now.

        Raises:
            Stop: it cannot be read.
        """
        live = self.tokens.read().live()
        receiving = self.receiving
        return replace(
            receiving,
            vicai_tokens=_once(*(one.token for one in live.vicai), *receiving.vicai_tokens),
            ivesk_secrets=_once(*(one.secret for one in live.ivesk), *receiving.ivesk_secrets),
        )


def read(path: str) -> Settings:
    """Read the settings; relative paths in them begin at the file's own folder.

    Raises:
        Stop: something is wrong; the message says in which line.
    """
    where = Path(path).expanduser()
    if not where.exists():
        raise Stop(f"--config: there is no file {where}; docs/webhooks.md shows what it holds.")
    given = config_file.read(where).entries(KNOWN)
    for name in KNOWN:
        if (value := os.environ.get(PREFIX + name.upper(), "")) and name != "rules":
            given[name] = Entry.of_text(value, PREFIX + name.upper(), name)
    folder = where.absolute().parent
    receiving = {field: given[name].texts() for name, field in _RECEIVING.items() if name in given}
    numbers = {name: given[name].seconds() for name in _SECONDS if name in given}
    numbers |= {name: given[name].number() for name in _MEGABYTES if name in given}
    public = given["public_url"].text() if "public_url" in given else None
    return Settings(
        receiving=Receiving(inbox=_inbox(given, folder), **receiving, **numbers),  # type: ignore[arg-type]
        tokens=TokenFile(folder / _path(given, "token_file", f".{where.stem}-tokens.json")),
        host=given["host"].text() if "host" in given else "127.0.0.1",
        port=given["port"].whole(0, 65535) if "port" in given else 8723,
        public_url=validate.address("public_url", public, "https://hooks.example.com") if public else None,
        rules=of_rules.read(_rules(given["rules"], folder), folder) if "rules" in given else (),
        running=_running(given, folder),
        credentials=_credentials(given),
        grace=given["grace"].seconds() if "grace" in given else 900.0,
    )


def _running(given: Mapping[str, Entry], folder: Path) -> Running:
    first = given["first_pause"].seconds() if "first_pause" in given else Running.first_pause
    longest = given["longest_pause"].seconds() if "longest_pause" in given else max(Running.longest_pause, first)
    if longest < first:
        raise given["longest_pause"].wrong("must not be shorter than first_pause.")
    return Running(
        logs=folder / _path(given, "runs_dir", "runs"),
        keep=given["keep_logs"].whole(1) if "keep_logs" in given else Running.keep,
        first_pause=first,
        longest_pause=longest,
        at_once=given["runs_at_once"].whole(1, 100) if "runs_at_once" in given else Running.at_once,
        stop_seconds=given["stop_seconds"].seconds() if "stop_seconds" in given else Running.stop_seconds,
    )


def _credentials(given: Mapping[str, Entry]) -> dict[str, str]:
    found = {name: os.environ.get(variable, "").strip() for name, variable in _CREDENTIALS.items()}
    found |= {name: given[name].text() for name in _CREDENTIALS if name in given}
    return {name: value for name, value in found.items() if value}


def _rules(entry: Entry, folder: Path) -> Entry:
    """The list of rules, or what the file that is named instead holds."""
    if not entry.is_text:
        return entry
    other = config_file.read(folder / Path(entry.text()).expanduser())
    return other if other.is_list else other.entries(["rules"]).get("rules", other)


def _path(given: Mapping[str, Entry], name: str, default: str) -> Path:
    return Path(given[name].text()).expanduser() if name in given else Path(default)


def _inbox(given: Mapping[str, Entry], folder: Path) -> str:
    """The inbox's address; a file is the same one wherever the command is run."""
    text = given["inbox"].text() if "inbox" in given else Receiving.inbox
    file = file_of(address(text))
    return text if file is None else str(folder / file)


def _once(*values: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def demanded(settings: Settings, *names: str) -> dict[str, str]:
    """Return credentials that a command cannot do without.

    Raises:
        Stop: one is missing.
    """
    for name in names:
        if name not in settings.credentials:
            raise Stop(
                f"{name} is missing: set it in the file of --config, or as {PREFIX}{name.upper()} or "
                f"{_CREDENTIALS[name]} in the environment."
            )
    return dict(settings.credentials)
