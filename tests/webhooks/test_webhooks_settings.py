"""Settings that cannot be right are told with file, line and a way out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.webhooks import rules, settings
from ap_connectors.webhooks.inbox import Inbox

GOOD = """\
inbox: events.db
vicai_token: [new, old]
max_age: 2h
rules:
- on: [ivesk.on_exported]
  job: ivesk-to-warehouse
  companies: [012345678, "302320404"]
  debounce: 5s
  cwd: project
- on: vicai.syncRequest
  run: meltano run erp-to-vic
  timeout: 1h
"""


def read(folder: Path, text: str) -> settings.Settings:
    path = folder / "webhooks.yml"
    path.write_text(text, encoding="utf-8")
    return settings.read(str(path))


def test_what_is_right_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AP_WEBHOOKS_IVESK_SECRET", "one, two")
    monkeypatch.setenv("TAP_IVESK_API_KEY", "key")
    found = read(tmp_path, GOOD)
    assert found.inbox == str(tmp_path / "events.db")
    assert found.vicai_token == ("new", "old")
    assert found.ivesk_secret == ("one", "two")
    assert found.max_age == 7200.0
    assert (found.credentials("ivesk"), found.credentials("vicai")) == ({"api_key": "key"}, {})
    first, second = found.rules
    assert (first.name, first.command) == ("ivesk-to-warehouse", ("meltano", "run", "ivesk-to-warehouse"))
    assert first.companies == ("012345678", "302320404")
    assert first.cwd == tmp_path / "project"
    assert first.wants("ivesk", "on_exported", "012345678")
    assert not first.wants("ivesk", "on_exported", "5")
    assert not first.wants("vicai", "on_exported", None)
    assert (second.command, second.timeout) == (("meltano", "run", "erp-to-vic"), 3600.0)
    assert second.request_of("vicai", "syncRequest", "id") == "id"
    assert first.request_of("ivesk", "on_exported", "id") is None


def test_rules_may_have_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("- on: vicai.*\n  job: x\n  nam: y", encoding="utf-8")
    with pytest.raises(Stop, match=r"rules.yml, line 3: 'nam' is not known here. Did you mean 'name'"):
        read(tmp_path, "rules: rules.yml")
    (tmp_path / "rules.yml").write_text("rules:\n- on: vicai.*\n  job: x", encoding="utf-8")
    [rule] = read(tmp_path, "rules: rules.yml").rules
    assert (rule.name, rule.cwd) == ("x", tmp_path)


def test_the_documentation_knows_every_setting(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    cells = {name for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert {*settings.Settings.__struct_fields__, *rules.Rule.__struct_fields__} <= cells
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(read(tmp_path, example).rules) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inbux: a.db", "line 1: 'inbux' is not known here. Did you mean 'inbox'?"),
        ("port: 0\nport: 1", "line 2: 'port' is given twice"),
        ("port: 70000", "line 1: port: must be a whole number from 0 to 65535"),
        ("rules:\n- job: x", "line 2: a rule: has no `on`"),
        ("rules:\n- on: [vicai.syncrequests]\n  job: x", "line 2: on: there is no event 'vicai.syncrequests'. Did you"),
        ("rules:\n- on: vicai.*", "line 2: a rule: must have either `job`"),
        (
            "rules:\n- on: vicai.*\n  job: x\n  debounc: 3s",
            "line 4: 'debounc' is not known here. Did you mean 'debounc",
        ),
        ("rules:\n- on: vicai.*\n  job: x\n  debounce: soon", "line 4: debounce: must be a time such as 5s"),
        ("rules:\n- {on: vicai.*, job: x}\n- {on: ivesk.*, job: x}", "line 3: a rule: two rules run 'x'"),
        ("rules: [", "is not valid YAML"),
        ("vicai_token: ['']", "line 1: vicai_token: must be a text"),
        ("public_url: hooks.example.com", "public_url: is not an address"),
        ("ivesk_topics:\n- arn:aws:sns:a:1:b\n- c", "line 3: ivesk_topics: 'c' is not an ARN"),
        ("max_body_mb: nan", "line 1: max_body_mb: must be a number greater than 0"),
        ("first_pause: 2h\nlongest_pause: 1h", "line 2: longest_pause: must not be shorter than first_pause"),
        ("rules:\n- on: vicai.*\n  run: echo 'a", "line 3: run: No closing quotation"),
        ("rules:\n- on: vicai.*\n  job: x\n  env: [A=b, c, d-e]", "line 4: env: must be a list of NAME=value, or NAME"),
        ("- inbox", "line 1: must be a mapping"),
        ("rules: " + "[" * 100_000, "is nested too deeply to be read"),
        ("port: 1\nrules: \0", "line 2: has a NUL character"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Stop) as error:
        read(tmp_path, text)
    assert words in str(error.value)


def test_the_environment_is_named_and_its_secrets_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AP_WEBHOOKS_VICAI_TOKEN", "geheim")
    assert "geheim" not in repr(read(tmp_path, "port: 1"))
    monkeypatch.setenv("AP_WEBHOOKS_PORT", "many")
    with pytest.raises(Stop, match=r"^AP_WEBHOOKS_PORT: port: must be a whole number from 0 to 65535"):
        read(tmp_path, "port: 1")


def test_a_misspelt_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AP_WEBHOOKS_EVENT_IDS", "1,2")  # of a run, in which the command is called
    monkeypatch.setenv("AP_WEBHOOKS_COLOUR", "red")
    read(tmp_path, "port: 1")
    assert caplog.messages == ["AP_WEBHOOKS_COLOUR is unknown and has no effect."]
    monkeypatch.setenv("AP_WEBHOOKS_VICAI_TOKENS", "geheim")
    with pytest.raises(Stop, match=r"AP_WEBHOOKS_VICAI_TOKENS sets nothing; did you mean AP_WEBHOOKS_VICAI_TOKEN\?"):
        read(tmp_path, "port: 1")


def test_an_inbox_behind_a_link_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.db").touch(0o600)
    link = tmp_path / "inbox.db"
    link.symlink_to(tmp_path / "real.db")
    Inbox(str(link)).close()
    if os.geteuid() == 0:
        os.chown(link, 12345, 12345, follow_symlinks=False)
        with pytest.raises(Stop, match="a link that another user made"):
            Inbox(str(link))
