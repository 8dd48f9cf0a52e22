"""The SDK's private members, all that we use: behind public names and hooks of our own.

They may change with any release of the SDK. When they do, the tests of this file say which.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.mapper import CustomStreamMap
from singer_sdk.plugin_base import BaseSingerReader, JSONSchemaValidator, PluginBase
from singer_sdk.plugin_base import _ConfigInput as ConfigInput
from singer_sdk.singerlib import RecordMessage

from ap_connectors.core.errors import Stop
from ap_connectors.core.messages import Line

if TYPE_CHECKING:
    from types import FrameType

    from jsonschema import ValidationError

_MARK = "\ufeff"
"""A byte order mark: it becomes part of the first name of a .env file that has one."""

__all__ = ["ConfigInput", "SdkPlugin", "SdkReader", "SdkStream", "SdkTap", "failed_expression"]


class SdkPlugin(PluginBase):
    """A plugin whose settings and signals have public hooks."""

    @classmethod
    def env_prefix(cls) -> str:
        """Return how the environment variables of the settings begin: TAP_IVESK_."""
        prefix: str = cls._env_var_prefix
        return prefix

    @classmethod
    @abstractmethod
    def settings_from_environment(cls) -> dict[str, Any]:
        """Return the settings that the environment has."""

    def tidy_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they are meant."""
        return given

    @abstractmethod
    def settings_problems(self) -> list[str]:
        """Return what is wrong with the settings, in words; fill in the defaults."""

    def on_signal(self, signum: int) -> None:
        """End the run: a signal asks for it."""
        raise NotImplementedError

    @property
    def given_settings(self) -> dict[str, Any]:
        """The settings, to which `schema_errors` adds the defaults."""
        return self._config

    def schema_errors(self) -> list[ValidationError]:
        """Return what the JSON Schema objects to in the settings; fill in the defaults."""
        return list(JSONSchemaValidator(self.config_jsonschema).iter_errors(self._config))

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        # A .env file becomes part of the environment.
        try:
            parse_environment_config({}, cls._env_var_prefix)
        except UnicodeDecodeError:
            raise Stop("The file .env is not UTF-8 text. Save it as UTF-8.") from None
        for name in [name for name in os.environ if name.startswith(_MARK)]:
            os.environ.setdefault(name.removeprefix(_MARK), os.environ.pop(name))
        cls.append_builtin_config(cls.config_jsonschema)
        return cls.settings_from_environment()

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own messages show values, secrets among them.
        self.append_builtin_config(self.config_jsonschema)
        self._config = self.tidy_settings(self._config)
        problems = self.settings_problems()
        if problems and raise_errors:
            raise ConfigValidationError("The settings are not usable", errors=problems, schema=self.config_jsonschema)
        return problems

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.on_signal(signum)


class SdkTap(SdkPlugin, Tap):
    """A tap with a hook before a sync."""

    def before_sync(self) -> None:
        """Check, before anything is read, what a sync needs."""

    def _reset_state_progress_markers(self) -> None:
        # The first thing that the SDK's sync does.
        self.before_sync()
        super()._reset_state_progress_markers()


class SdkReader(SdkPlugin, BaseSingerReader):
    """A plugin that reads messages: each as a `Line`, by a public hook for its type."""

    @abstractmethod
    def on_schema(self, line: Line) -> None:
        """Process a SCHEMA message."""

    @abstractmethod
    def on_record(self, line: Line) -> None:
        """Process a RECORD message."""

    @abstractmethod
    def on_state(self, line: Line) -> None:
        """Process a STATE message."""

    def on_activate_version(self, line: Line) -> None:
        """Process an ACTIVATE_VERSION message."""

    def _process_schema_message(self, message_dict: Any) -> None:
        self.on_schema(message_dict)

    def _process_record_message(self, message_dict: Any) -> None:
        self.on_record(message_dict)

    def _process_state_message(self, message_dict: Any) -> None:
        self.on_state(message_dict)

    def _process_activate_version_message(self, message_dict: Any) -> None:
        self.on_activate_version(message_dict)

    def _process_batch_message(self, message_dict: Any) -> None:
        line: Line = message_dict
        raise Stop(f"Line {line.number}: BATCH messages are not supported; switch batch_config off in the tap.")


class SdkStream(Stream):
    """A stream that syncs and writes in its own way."""

    _schema_told = False

    @property
    def tap(self) -> Any:
        """The tap that the stream belongs to."""
        return self._tap

    @property
    def selected(self) -> bool:
        """Whether the stream is selected."""
        return self.mask.get((), True)

    @selected.setter
    def selected(self, value: bool | None) -> None:
        # The SDK selects every stream for --test when its maps are made already, of no field at all.
        self.metadata.root.selected = value
        self._mask = self.metadata.resolve_selection()
        self.change_schema(get_selected_schema(self.name, self.effective_schema, self.mask))

    def change_schema(self, schema: dict[str, Any]) -> None:
        """Map records by another schema from now on."""
        self.tap.mapper.register_raw_stream_schema(self.name, schema, self.primary_keys)
        self._stream_maps = None

    def write_schema(self) -> None:
        """Write the SCHEMA message."""
        self._write_schema_message()

    def _write_schema_message(self) -> None:
        if not self._schema_told:
            # The catalog, from which the SDK takes the schema, drops the members that it does not know.
            self._schema_told = True
            self.change_schema(get_selected_schema(self.name, self.effective_schema, self.mask))
        super()._write_schema_message()

    def mapped(self, record: dict[str, Any]) -> list[RecordMessage]:
        """Return the RECORD messages that stream maps make of a record."""
        return list(self._generate_record_messages(record))

    def write_state(self) -> None:
        """Write the STATE message, unless nothing has changed since the last one."""
        self._write_state_message()

    def check_record_limit(self, count: int) -> None:
        """End the sync, as the SDK does for --test, once enough records were read."""
        self._check_max_record_limit(count)

    def sync_records(self) -> None:
        """Read and write everything. In place of the SDK's loop, which looks at every record a dozen times."""
        raise NotImplementedError

    def _sync_records(
        self,
        context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the SDK's signature
        *,
        write_messages: bool = True,  # noqa: ARG002
    ) -> Generator[dict[str, Any], Any, Any]:
        self.sync_records()
        yield from ()


def failed_expression(error: BaseException) -> str:
    """Return which expression of a stream map an error comes from, as messages call it."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is CustomStreamMap._eval.__code__:
            return f"the expression {step.tb_frame.f_locals['expr']!r}"
        step = step.tb_next
    return "an expression"
