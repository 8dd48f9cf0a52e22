"""Passwords, tokens and command lines show nowhere; what is open to others is warned of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ap_connectors.webhooks import settings
from ap_connectors.webhooks.config_file import Command, Texts
from ap_connectors.webhooks.inbox_url import address, passwords, shown
from ap_connectors.webhooks.rules import Rule
from ap_connectors.webhooks.settings import Settings
from tests.campaign import one_in
from tests.webhooks.serve_process import Webhooks, rule


@pytest.mark.parametrize(
    ("given", "password"),
    [
        ("postgresql://ap:ge@heim@db/name", "ge@heim"),
        ("postgresql://ap:ge@he/im@db/name", "ge@he/im"),
        ("postgresql://ap:ge@h?e=im@db/name", "ge@h?e=im"),
        ("postgresql://ap:ge%40heim@db/name", "ge@heim"),
        ("postgres://ap:ge:heim@db/name?sslmode=require", "ge:heim"),
        ("postgresql+psycopg://ap:ge#heim@db/name", "ge#heim"),
    ],
)
def test_a_password_of_the_inbox_is_told_from_its_host(given: str, password: str) -> None:
    url = address(given)
    assert (url.password, url.host, url.database) == (password, "db", "name")
    assert password not in shown(url)
    assert {password, password.replace("@", "%40")} & set(passwords(url))


@one_in(3)
@pytest.mark.parametrize(
    "given",
    [
        "postgresql://ap@127.0.0.1:9/name?password=ge@heim&connect_timeout=1",
        "postgresql://ap@127.0.0.1:9/name?connect_timeout=1&password=geheim",
        "postgresql://ap@127.0.0.1:9/name?sslpassword=geheim",
        "postgresql://127.0.0.1:9/name?user=ap&password=geheim",
        "postgresql://ap:ge@heim@127.0.0.1:9/name",
        "postgresql://ap:ge@heim@127.0.0.1:port/name",
        "postgresql:/ap:geheim@127.0.0.1:9/name",
        "postgresql:ap:geheim@127.0.0.1",
        "host=127.0.0.1 port=9 password=geheim",
        "dbname=a password = 'geheim'",
        "mysql://ap:geheim@127.0.0.1/name",
    ],
)
def test_no_message_shows_the_password_of_the_inbox(tmp_path: Path, given: str) -> None:
    with Webhooks(tmp_path) as hooks:
        hooks.write(inbox=given)
        for command in ("events", "runs"):
            said = hooks.run(command, "--log-level", "debug", expect=1)
            assert "heim" not in said
            assert "nbox" in said
        assert not list(tmp_path.glob("*name*"))


@pytest.mark.long
def test_a_job_gets_no_password_of_the_inbox_unless_its_rule_hands_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "geheim")
    monkeypatch.setenv("AP_WEBHOOKS_IVESK_SECRET", "geheim-that-is-long-enough")
    rules = [
        rule("env > without.txt", on=["vicai.syncRequest"]),
        rule("env > with.txt; exit 3", on=["vicai.vendorNew"], env=["PGPASSWORD", "MORE=1"], retries=0),
    ]
    rules[1]["run"].append("--token=geheim")
    for one in rules:
        del one["name"]
    with Webhooks(tmp_path, rules=rules).serve() as hooks:
        assert hooks.post("syncRequest", {"requestId": "a"}) == 200
        assert hooks.post("vendorNew", {"internalId": "1"}) == 202
        hooks.wait_for(lambda: sorted(hooks.statuses()) == ["done", "failed"])
        assert "geheim" not in (tmp_path / "without.txt").read_text(encoding="utf-8")
        found = (tmp_path / "with.txt").read_text(encoding="utf-8").splitlines()
        assert [line for line in found if "geheim" in line] == ["PGPASSWORD=geheim"]
        # A rule without a name is known by its command, of which everyone sees the program only.
        pages = [hooks.http.get(f"{hooks.url}/metrics", timeout=10).text, hooks.log, hooks.run("runs")]
        pages += [hooks.run("runs", "--format", "json"), hooks.run("events"), hooks.run("retry", "--failed")]
        hooks.write(grace="0s")
        for form in ("table", "json"):
            # Each mend runs the failed one again, and while it runs there is no gap.
            hooks.wait_for(lambda: sorted(hooks.statuses()) == ["done", "failed"])
            pages.append(hooks.run("reconcile", "--format", form, "--mend", expect=1))
        assert [page for page in pages if "sh ..." not in page] == [pages[4]]  # events have no rule
        assert [page for page in pages if "geheim" in page or "without.txt" in page or "exit 3" in page] == []


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        (("curl", "-H", "Authorization: Bearer geheim", "https://x"), "curl ..."),
        (("/opt/bin/post", "geheim"), "post ..."),
        (("/opt/bin/post",), "/opt/bin/post"),
        (("meltano", "run", "erp-to-vic"), "meltano run erp-to-vic"),
        (("meltano", "run", "a", "--state-id-suffix=geheim"), "meltano run a"),
        (("meltano", "invoke", "tap", "geheim"), "meltano ..."),
    ],
)
def test_how_a_rule_without_a_name_is_shown(command: tuple[str, ...], seen: str) -> None:
    assert Rule(on=Texts(("vicai.*",)), run=Command(command)).shown == seen
    assert Rule(on=Texts(("vicai.*",)), run=Command(command), name="nightly load").shown == "nightly load"


CONFIG = "port: 0\nvicai_token: {token}\nhost: {host}\n"


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ("vicai_token: a-token-that-is-long-enough", 0o644, True),
        ("vicai_token: a-token-that-is-long-enough", 0o640, False),
        ("ivesk_api_key: k", 0o604, True),
        ("inbox: postgresql://ap:geheim@127.0.0.1:9/a", 0o644, True),
        ("inbox: postgresql://ap@127.0.0.1:9/a", 0o644, False),
        ("port: 1", 0o666, False),
    ],
)
def test_settings_with_secrets_that_everyone_may_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, mode: int, warned: bool
) -> None:
    path = tmp_path / "webhooks.yml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    settings.read(str(path))
    assert ("chmod 600" in caplog.text) is warned
    assert "geheim" not in caplog.text


def test_tokens_and_an_inbox_that_everyone_may_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("webhooks.yml", ".webhooks-tokens.json", "webhooks.db"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    settings.read(str(tmp_path / "webhooks.yml"))
    assert ".webhooks-tokens.json: holds secrets" in caplog.text
    with Webhooks(tmp_path) as hooks:
        assert "webhooks.db: holds what the services sent" in hooks.run("events")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vicai_token": ["a"]}, "vicai_token: is shorter than 16"),
        ({"vicai_token": ["x" * 16, "b" * 15]}, "vicai_token: is shorter than 16"),
        ({"ivesk_secret": ["s"]}, "ivesk_secret: is shorter than 16"),
        ({"host": "0.0.0.0"}, "host: 0.0.0.0 lets other machines connect"),
        ({"host": "::"}, "host: :: lets"),
        ({"host": "192.168.1.7"}, "lets other machines"),
        ({"ivesk_test_hosts": ["127.0.0.1:1"]}, "for tests only"),
        ({"vicai_token": ["x" * 16], "host": "::1"}, ""),
        ({"host": "localhost"}, ""),
    ],
)
def test_what_is_less_safe_than_it_could_be_is_told(changes: dict[str, object], words: str) -> None:
    given = {name: Texts(value) if isinstance(value, list) else value for name, value in changes.items()}
    found = list(Settings(**given).warnings())  # type: ignore[arg-type]
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_the_receiver_warns_when_it_starts(tmp_path: Path) -> None:
    with Webhooks(tmp_path, vicai_token="t", host="0.0.0.0").serve() as hooks:
        assert "vicai_token: is shorter" in hooks.log
        assert "host: 0.0.0.0 lets" in hooks.log


ESCAPES = "\x1b[2J\x1b]0;title\x07\r\nINFO forged\u202e\x9b31m"


def test_escape_sequences_of_events_reach_no_terminal(tmp_path: Path) -> None:
    rules = [rule("exit 1", on=["vicai.*"], retries=0)]
    with Webhooks(tmp_path, rules=rules, grace="0s").serve() as hooks:
        body = {"event": f"new{ESCAPES}", "data": {"companyId": f"7{ESCAPES}", "id": f"1{ESCAPES}"}}
        assert hooks.post("events", body) == 200
        hooks.wait_for(lambda: hooks.statuses() == ["failed"])
        lines = [hooks.log, hooks.run("events", "--all"), hooks.run("runs")]
        as_json = hooks.run("events", "--format", "json")
        lines += [as_json, hooks.run("reconcile", expect=1), hooks.run("reconcile", "--format", "json", expect=1)]
        for page in lines:
            assert all(line.isprintable() for line in page.split("\n")), page
        # Machines read what came, letter by letter.
        [event] = json.loads(as_json)["events"]
        assert (event["event"], event["company"]) == (f"vicai.new{ESCAPES}", f"7{ESCAPES}")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v0",
        "http://10.0.0.1/v0",
        "http://127.0.0.1.example.com/v0",
        "http://[::ffff:8.8.8.8]/v0",
    ],
)
def test_credentials_go_over_https_only(tmp_path: Path, url: str) -> None:
    with Webhooks(tmp_path, vicai_client_id="a", vicai_client_secret="b", ivesk_api_key="c") as hooks:
        hooks.write(public_url="https://hooks.example.com", vicai_api_url=url, ivesk_api_url=url)
        for command in (("status", "vicai"), ("subscribe", "vicai"), ("subscribe", "ivesk"), ("unsubscribe", "vicai")):
            assert "api_url: begins with http" in hooks.run(*command, expect=1)
        assert "api_url: begins with http" in hooks.run("reconcile", "vicai", expect=2)


def test_what_is_on_this_machine_is_not_asked_through_a_proxy(tmp_path: Path) -> None:
    """The proxy would get the credentials, unencrypted."""
    script = (
        "from ap_connectors.http.session import _environment as e;"
        "print([e(h)['proxies'].get('http') for h in ('http://127.0.0.1:1', 'http://localhost', 'http://example.com')])"
    )
    environment = {**os.environ, "http_proxy": "http://proxy.example.com:3128", "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[None, None, 'http://proxy.example.com:3128']"
