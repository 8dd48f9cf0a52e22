"""What we use of the SDK's private members does what we use it for. After an upgrade of the SDK, read this first."""

from __future__ import annotations

import inspect
import io
import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from singer_sdk import Stream, Tap, plugin_base
from singer_sdk import typing as th
from singer_sdk.exceptions import AbortedSyncPausedException, ConfigValidationError
from singer_sdk.plugin_base import BaseSingerReader, PluginBase

from ap_connectors.core.errors import Stop
from ap_connectors.core.messages import Line
from ap_connectors.singer._sdk import ConfigInput, SdkPlugin, SdkReader, SdkStream, SdkTap
from ap_connectors.singer.message_io import LineReader, RecordWriter

SCHEMA = {"type": "object", "properties": {"id": {"type": ["integer"]}, "name": {"type": ["string", "null"]}}}


class Settings(SdkPlugin):
    name = "tap-trial"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("size", th.IntegerType, default=7), th.Property("name", th.StringType)
    ).to_dict()
    signals: ClassVar[list[int]] = []

    @classmethod
    def settings_from_environment(cls) -> dict[str, Any]:
        return {"name": f"from {cls.env_prefix()}"}

    def settings_problems(self) -> list[str]:
        return [f"{'.'.join(map(str, error.path))}: {error.validator}" for error in self.schema_errors()]

    def on_signal(self, signum: int) -> None:
        self.signals.append(signum)


class Rows(SdkStream):
    name = "rows"
    primary_keys: ClassVar[list[str]] = ["id"]
    record: ClassVar[dict[str, Any]] = {"id": 1, "name": "one"}

    def __init__(self, tap: Any) -> None:
        super().__init__(tap, schema=SCHEMA)

    def get_records(self, context: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        raise AssertionError(f"the SDK's loop, in {context}")

    def sync_records(self) -> None:
        self.write_schema()
        for message in self.mapped(dict(self.record)):
            self.tap.write_message(message)
        self.state_manager.is_flushed = False
        self.write_state()
        self.write_state()


class Trial(Settings, SdkTap):
    message_writer_class = RecordWriter
    checked = False

    def before_sync(self) -> None:
        self.checked = True

    def discover_streams(self) -> list[Stream]:
        return [Rows(self)]


class Reader(Settings, SdkReader):
    message_reader_class = LineReader
    name = "target-trial"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.met: list[tuple[str, int]] = []

    def on_schema(self, line: Line) -> None:
        self.met.append(("schema", line.number))

    def on_record(self, line: Line) -> None:
        self.met.append(("record", line.number))

    def on_state(self, line: Line) -> None:
        self.met.append(("state", line.number))

    def on_activate_version(self, line: Line) -> None:
        self.met.append(("version", line.number))


def messages(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (PluginBase, "_env_var_config"),
        (PluginBase, "_env_var_prefix"),
        (PluginBase, "_validate_config"),
        (PluginBase, "_handle_termination"),
        (Tap, "_reset_state_progress_markers"),
        (BaseSingerReader, "_process_schema_message"),
        (BaseSingerReader, "_process_record_message"),
        (BaseSingerReader, "_process_state_message"),
        (BaseSingerReader, "_process_activate_version_message"),
        (BaseSingerReader, "_process_batch_message"),
        (Stream, "_sync_records"),
        (Stream, "_write_schema_message"),
        (Stream, "_write_state_message"),
        (Stream, "_generate_record_messages"),
        (Stream, "_check_max_record_limit"),
    ],
)
def test_the_sdk_still_has_it(owner: type, name: str) -> None:
    """What we override or call; an override of a name that is gone would never be called, without a word."""
    assert inspect.getattr_static(owner, name) is not None


def test_the_environment_is_asked_through_our_hook() -> None:
    assert Settings(config={"name": "from a file"}, parse_env_config=True).config["name"] == "from TAP_TRIAL_"
    assert Settings(config={"name": "from a file"}).config["name"] == "from a file"


def test_a_file_of_variables_becomes_part_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from singer_sdk.configuration import _dict_config  # noqa: PLC0415

    (tmp_path / ".env").write_text("AP_CONNECTORS_TRIAL=1\n")
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr(_dict_config, "find_dotenv", lambda: str(tmp_path / ".env"))
    Settings(parse_env_config=True)
    assert environment["AP_CONNECTORS_TRIAL"] == "1"


def test_settings_are_checked_through_our_hook_and_get_defaults() -> None:
    plugin = Settings(config={})
    assert plugin.config["size"] == plugin.given_settings["size"] == 7
    with pytest.raises(ConfigValidationError) as caught:
        Settings(config={"size": "big"})
    assert caught.value.errors == ["size: type"]
    assert Settings(config={"size": "big"}, validate_config=False).config["size"] == "big"


def test_a_signal_comes_through_our_hook() -> None:
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        Settings()
        signal.raise_signal(signal.SIGTERM)
        assert Settings.signals == [signal.SIGTERM]
    finally:
        Settings.signals.clear()
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def test_the_command_line_makes_the_input_that_the_sdk_wants() -> None:
    assert ConfigInput({"size": 1}, parse_env=True) == plugin_base._ConfigInput(config={"size": 1}, parse_env=True)


def test_a_sync_is_ours_from_the_check_before_it(capfd: pytest.CaptureFixture[str]) -> None:
    tap = Trial()
    tap.sync_all()
    assert tap.checked
    assert tap.streams["rows"].tap is tap  # type: ignore[attr-defined]
    # The first STATE is the SDK's, before the sync; nothing changed before our second one.
    (_, schema, record, state) = messages(capfd.readouterr().out)
    assert (schema["type"], schema["stream"], schema["schema"]["properties"]) == (
        "SCHEMA",
        "rows",
        SCHEMA["properties"],
    )
    assert (record["type"], record["record"]) == ("RECORD", Rows.record)
    assert (state["type"], state["value"]) == ("STATE", {"bookmarks": {"rows": {}}})


def test_a_record_passes_stream_maps(capfd: pytest.CaptureFixture[str]) -> None:
    Trial(config={"stream_maps": {"rows": {"name": "name.upper()"}}}).sync_all()
    (record,) = [message for message in messages(capfd.readouterr().out) if message["type"] == "RECORD"]
    assert record["record"]["name"] == "ONE"


def test_selection_and_schema_change_what_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    tap = Trial()
    (stream,) = tap.streams.values()
    assert isinstance(stream, Rows)
    stream.selected = False
    assert not stream.selected
    stream.selected = True
    assert stream.selected
    stream.write_schema()
    stream.change_schema({"properties": {**SCHEMA["properties"], "more": {"type": ["string"]}}})  # type: ignore[dict-item]
    stream.write_schema()
    first, second = (message["schema"]["properties"] for message in messages(capfd.readouterr().out))
    assert second == first | {"more": {"type": ["string"]}}


def test_a_limit_of_records_ends_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    (stream,) = Trial().streams.values()
    assert isinstance(stream, Rows)
    stream.replication_key = "id"
    monkeypatch.setattr(stream, "ABORT_AT_RECORD_COUNT", 2)
    stream.check_record_limit(1)
    with pytest.raises(AbortedSyncPausedException):
        stream.check_record_limit(2)


def test_messages_come_by_their_types() -> None:
    reader = Reader()
    lines = [
        {"type": "SCHEMA", "stream": "rows", "schema": {}},
        {"type": "RECORD", "stream": "rows", "record": {}},
        {"type": "ACTIVATE_VERSION", "stream": "rows", "version": 1},
        {"type": "STATE", "value": {}},
    ]
    reader.listen(io.StringIO("\n".join(map(json.dumps, lines))))
    assert reader.met == [("schema", 1), ("record", 2), ("version", 3), ("state", 4)]


def test_batches_are_refused() -> None:
    batch = {"type": "BATCH", "stream": "rows", "manifest": [], "encoding": {"format": "jsonl"}}
    with pytest.raises(Stop, match=r"^Line 1 "):
        Reader().listen(io.StringIO(json.dumps(batch)))
