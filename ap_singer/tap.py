"""The base of our taps: exact records out, clear words when something is wrong, safe endings."""

from __future__ import annotations

import functools
import os
import signal
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import JSONSchemaValidator, _ConfigInput

from ap_http.errors import Stop
from ap_singer.command import ClearCommand, explain, misspelt, read_config, read_state
from ap_singer.documents import FileStream
from ap_singer.files import FileStore
from ap_singer.writer import RecordWriter

if TYPE_CHECKING:
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum


class ExactTap(Tap):
    """A tap whose streams are `ap_singer.stream.ExactStream`s."""

    package_name = "ap-connectors"
    message_writer_class = RecordWriter
    # Neither BATCH (it would bypass selection and stream maps) nor ACTIVATE_VERSION (no table is ever read in full).
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @property
    def user_agent(self) -> str:
        """How the tap introduces itself to a service."""
        return self.config.get("user_agent") or f"ap-connectors/{self.plugin_version} {self.name}"

    @property
    def timeout(self) -> float:
        """Seconds to wait for a connection, and between two pieces of an answer."""
        return self.config.get("request_timeout") or 60

    @functools.cached_property
    def files(self) -> FileStore:
        """Where downloaded files are kept; asked for only when `documents_dir` is set."""
        return FileStore(self.config["documents_dir"])

    def before_sync(self) -> None:
        """Look whether all is well before anything is read.

        Raises:
            Stop: it is not.
        """
        wants_files = any(isinstance(stream, FileStream) and stream.selected for stream in self.streams.values())
        if wants_files and self.config.get("documents_dir"):
            _ = self.files

    def _reset_state_progress_markers(self) -> None:
        # The first thing that the SDK's sync does; it has no hook for what we want.
        self.before_sync()
        super()._reset_state_progress_markers()

    # Settings

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment; one that cannot be read is named, its value is not shown."""
        cls.append_builtin_config(cls.config_jsonschema)
        try:
            return parse_environment_config(cls.config_jsonschema, cls._env_var_prefix)
        except ValueError:
            for name, schema in cls.config_jsonschema["properties"].items():
                try:
                    parse_environment_config({"properties": {name: schema}}, cls._env_var_prefix)
                except ValueError:
                    wanted = "a whole number" if "integer" in schema["type"] else "JSON"
                    raise Stop(f"{cls._env_var_prefix}{name.upper()} must be {wanted}.") from None
            raise

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Say what is wrong with the settings; the SDK's own messages show values, secrets among them."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        # Before validation, which fills in defaults.
        unknown = list(misspelt(self._config, schema["properties"]))
        errors = list(explain(JSONSchemaValidator(schema).iter_errors(self._config), self._env_var_prefix))
        for name, meant in unknown:
            if meant is None:
                self.logger.warning("The setting %s is unknown and has no effect.", name)
            else:
                errors.append(f"{name} is no setting; did you mean {meant}?")
        if errors and raise_errors:
            raise ConfigValidationError("The settings are not usable", errors=errors, schema=schema)
        return errors

    # The command

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, in the form that explains errors."""
        command = super().get_singer_command()
        return ClearCommand(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            help=f"{(cls.__doc__ or '').splitlines()[0]}",
            logger=cls.logger,
        )

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Read the settings files; a wrong path or broken JSON is explained without showing what is in the file."""
        for path in value:
            read_config(path)
        return super().cb_config(ctx, param, value)

    @classmethod
    def invoke(cls, *, state: IO[str] | None = None, **kwargs: Any) -> None:
        """Run the tap; a state that is none is refused."""
        super().invoke(state=read_state(state) if state else None, **kwargs)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End at once, after a STATE that covers what was written; not with status 0, for the job is not done."""
        # A second signal ends the process the hard way, should whoever reads our output be stuck.
        signal.signal(signum, signal.SIG_DFL)
        writer = self.message_writer
        if isinstance(writer, RecordWriter) and writer.writing:
            writer.after_writing = lambda: self._leave(signum)
        else:
            self._leave(signum)

    def _leave(self, signum: int) -> None:
        if isinstance(self.message_writer, RecordWriter):
            self.message_writer.after_writing = None
        if self.state:
            self.state_writer.write_state(self.state)
        self.logger.warning("Ended by signal %d; the next run goes on from the last STATE.", signum)
        # No waiting for threads in the middle of a request: files become visible only when they are whole.
        os._exit(128 + signum)
