"""Settings of `ap-webhooks`: one YAML file, with secrets from the environment if you like."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ap_http import checks
from ap_http.errors import Stop
from ap_webhooks import rules as of_rules
from ap_webhooks import yaml_file
from ap_webhooks.database import address, file_of
from ap_webhooks.receiving import Receiving
from ap_webhooks.rules import Rule
from ap_webhooks.tokens import TokenFile
from ap_webhooks.yaml_file import Entry

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
    given = yaml_file.read(where).entries(KNOWN)
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
        public_url=checks.address("public_url", public, "https://hooks.example.com") if public else None,
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
    other = yaml_file.read(folder / Path(entry.text()).expanduser())
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
