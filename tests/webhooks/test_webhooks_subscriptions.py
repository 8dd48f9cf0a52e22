"""Subscriptions, made, shown, renewed and ended at the sandbox, with a receiver that accepts their tokens."""

from __future__ import annotations

import dataclasses
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from ap_connectors.webhooks import status
from ap_connectors.webhooks.subscriptions import Subscription
from tests.webhooks.serve_process import Webhooks, rule


def tokens(hooks: Webhooks) -> list[str]:
    path = hooks.folder / ".webhooks-tokens.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return [one["token"] for one in json.loads(path.read_text(encoding="utf-8"))["vicai"]]


def test_vicai_is_subscribed_renewed_and_ended(hooks: Webhooks, vic: SandboxProcess) -> None:
    hooks.write(rules=[rule("true")])
    hooks.serve_public()
    control = vic.control
    assert "there is no subscription" in hooks.run("status", "vicai", expect=1)
    said = hooks.run("subscribe", "vicai", "--days", "90")
    [first] = tokens(hooks)
    [made] = control.vicai.records("subscription")
    assert (made["accessToken"], made["callbackUrl"]) == (first, f"{hooks.url}/vicai")
    assert "in 90 days" in said
    measured = set(re.findall(r"^# HELP (\S+)", hooks.http.get(f"{hooks.url}/metrics").text, re.MULTILINE))
    text = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(ap_webhooks_\w+)", text.partition("## Metrics")[2]))
    assert told == {name for name in measured if not name.endswith("_created")}
    # The receiver that served all the time lets it in.
    clicked = control.vicai.click("syncRequest")
    hooks.wait_for(lambda: [row["request_id"] for row in hooks.rows("events")] == [clicked["request_id"]])
    said += hooks.run("subscribe", "vicai", "--days", "5", "--events", "syncRequest")
    second, old = tokens(hooks)
    assert old == first
    assert {hooks.post("syncRequest", {"requestId": token}, token) for token in (first, second)} == {200}
    assert hooks.post("syncRequest", {"requestId": "x"}, "another") == 401
    assert "cannot be asked for a synchronisation of vendors" in hooks.run("synchronize", "vicai", "vendors", expect=1)
    said += (shown := hooks.run("status", "vicai"))
    assert "It expires in 5 days" in shown
    assert "syncRequest to" in shown
    said += hooks.run("unsubscribe", "vicai")
    assert control.vicai.records("subscription") == []
    assert tokens(hooks) == []
    hooks.wait_for(lambda: hooks.post("syncRequest", {"requestId": "y"}, second) != 200)
    assert not [token for token in (first, second) if token in said + hooks.log]


def test_ivesk_is_subscribed_and_an_export_is_acted_on(hooks: Webhooks, vic: SandboxProcess) -> None:
    hooks.write(rules=[rule("echo $AP_WEBHOOKS_KINDS >> done.txt", on=["vicai.*", "ivesk.on_exported"])])
    hooks.serve_public()
    control = vic.control
    assert "no subscription was confirmed" in hooks.run("status", "ivesk", expect=1)
    hooks.run("subscribe", "ivesk")
    control.wait_until_confirmed()
    assert hooks.run("status", "ivesk").count("confirmed at") == 2
    hooks.run("subscribe", "ivesk")  # once more is not twice
    control.add(1)
    hooks.wait_for(lambda: hooks.lines() == ["ivesk.on_exported"])
    assert "no call" in hooks.run("unsubscribe", "ivesk")


@pytest.mark.parametrize(
    ("changes", "words", "good"),
    [
        ({}, "in 30 days", True),
        ({"days": 13.6}, "It expires in 14 days: subscribe again", True),
        ({"days": -2.0}, "It has expired", False),
        ({"token_known": False}, "not one that the receiver accepts", False),
        ({"expires_at": None, "days": None}, "without an end", True),
        ({"callback_url": "https://elsewhere.example.com/vicai"}, "another address than public_url", False),
    ],
)
def test_what_is_wrong_with_a_subscription_is_told(changes: dict[str, Any], words: str, good: bool) -> None:
    url = "https://hooks.example.com/vicai"
    found = dataclasses.replace(Subscription(url, ("all",), "2026-01-31T00:00:00Z", 30.0, True), **changes)
    _, lines, well = status.vicai_status(found, url)
    assert words in "\n".join(lines)
    assert well is good


def test_only_https_is_subscribed_from_elsewhere(tmp_path: Path) -> None:
    with Webhooks(tmp_path, public_url="http://hooks.example.com", vicai_client_id="a") as hooks:
        assert "public_url: begins with http" in hooks.run("subscribe", "vicai", expect=1)
        hooks.write(public_url="https://hooks.example.com")
        assert "vicai_client_secret is missing" in hooks.run("subscribe", "vicai", expect=1)
