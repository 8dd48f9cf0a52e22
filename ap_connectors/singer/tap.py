"""The base of our taps: exact records out, clear words when something is wrong, safe endings."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Stream, Tap
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue

from ap_connectors.core.errors import ApError, Outage, Unauthorized
from ap_connectors.singer import tap_input
from ap_connectors.singer._sdk import ConfigInput, SdkTap
from ap_connectors.singer.downloads import FileStore, FileStream
from ap_connectors.singer.message_io import RecordWriter
from ap_connectors.singer.plugin import ClearPlugin
from ap_connectors.singer.stream import ExactStream

if TYPE_CHECKING:
    from singer_sdk.helpers.capabilities import CapabilitiesEnum


class ExactTap(ClearPlugin, SdkTap):
    """A tap whose streams are `ap_connectors.singer.stream.ExactStream`s."""

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

    @functools.cached_property
    def files(self) -> FileStore:
        """Where downloaded files are kept; asked for only when `documents_dir` is set."""
        return FileStore(self.config["documents_dir"])

    def before_sync(self) -> None:
        """Check, before anything is read, that files can be stored.

        Raises:
            Stop: they cannot.
        """
        wants_files = any(isinstance(stream, FileStream) and stream.selected for stream in self.streams.values())
        if wants_files and self.config.get("documents_dir"):
            _ = self.files

    def check_access(self) -> str:
        """Check, before streams are tried, that the credentials are those that are meant; say what there is to say.

        Raises:
            ApError: they are not.
        """
        return ""

    def after_sync(self) -> None:
        """Say what there is to say once every stream was read; what it raises ends the run."""

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the tap; reject what is not a state or a catalog of this tap."""
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        given = config or ConfigInput()
        since = tap_input.state(*tap_input.content("--state", state), cls.logger) if state else {}
        tap = cls(
            config=given.config,
            parse_env_config=given.parse_env,
            state=since,
            catalog=tap_input.catalog(*tap_input.content("--catalog", catalog), cls.name) if catalog else None,
        )
        tap.check_input(since)
        try:
            tap.sync_all()
            tap.after_sync()
        finally:
            for stream in tap.streams.values():
                if stream.selected and isinstance(stream, ExactStream):
                    tap.logger.info("%s", stream.summary())

    def check_input(self, state: Mapping[str, Any]) -> None:
        """Check that state and catalog are of this tap.

        Raises:
            Stop: they are another one's.
        """
        tap_input.check_streams(self.input_catalog or (), self.streams, self.name, self.logger)
        tap_input.check_bookmarks(state, self.streams, self.name, self.logger)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Try every stream, or write the schemas with ``--test=schema``."""
        if value != CliTestOptionValue.All.value:
            super().cb_test(ctx, param, value)
            return
        given = ctx.params.get("config", ConfigInput())
        cls(config=given.config, parse_env_config=given.parse_env).try_streams()
        ctx.exit()

    def try_streams(self) -> None:
        """Read one record of every stream, write nothing, and say of each whether it can be read.

        Raises:
            ApError: one cannot, or the service is not there.
        """
        if told := self.check_access():
            click.echo(f"{self.name}: {told}.")
        self.metrics_logger.setLevel(logging.WARNING)
        if isinstance(self.message_writer, RecordWriter):
            self.message_writer.silent = True
        for stream in self.streams.values():
            stream.selected, stream.ABORT_AT_RECORD_COUNT = True, 1
            stream.logger.setLevel(logging.WARNING)
        failure: ApError | None = None
        for stream in self.streams.values():
            if stream.parent_stream_type:
                if not any(stream in each.child_streams for each in self.streams.values()):
                    click.echo(f"{stream.name}: was not tried; it is read in a run only.")
                continue
            setting = stream.read_with if isinstance(stream, ExactStream) else ""
            if setting and not self.config.get(setting):
                click.echo(f"{stream.name}: was not tried; it is read when {setting} is set.")
                continue
            try:
                with contextlib.suppress(AbortedSyncFailedException, AbortedSyncPausedException):
                    stream.sync()
            except (Outage, Unauthorized):
                raise
            except ApError as error:
                if str(error) == str(failure):
                    # It is not the stream.
                    raise
                failure = failure or error
                _tell(stream, str(error))
            else:
                _tell(stream, stream.left_out if isinstance(stream, ExactStream) else "")
        if failure:
            raise failure

    def on_signal(self, signum: int) -> None:
        """End at once, after a STATE that covers what was written; not with status 0, for the job is not done."""
        # A second signal ends the process the hard way, should the reader of our output be stuck.
        signal.signal(signum, signal.SIG_DFL)
        writer = self.message_writer
        if isinstance(writer, RecordWriter) and writer.writing:
            writer.after_writing = lambda: self._exit(signum)
        else:
            self._exit(signum)

    def _exit(self, signum: int) -> None:
        if isinstance(self.message_writer, RecordWriter):
            self.message_writer.after_writing = None
        if self.state:
            self.state_writer.write_state(self.state)
        told = f"Ended by signal {signum}; the next run goes on from the last STATE."
        try:
            self.logger.warning("%s", told)
        except RuntimeError:
            # The signal came while a line of the log was being written, and no other can be begun.
            os.write(2, f"\n{told}\n".encode())
        finally:
            # No waiting for threads in the middle of a request: files become visible only when they are whole.
            os._exit(128 + signum)


def _tell(tried: Stream, trouble: str) -> None:
    """Say whether a stream, and what is derived from it, can be read."""
    for stream in (tried, *tried.child_streams):
        if trouble:
            why = trouble if stream is tried else f"it comes with {tried.name}."
            click.echo(f"{stream.name}: cannot be read: {why}")
        else:
            empty = "" if isinstance(stream, ExactStream) and stream.written else "; no record came"
            click.echo(f"{stream.name}: can be read{empty}.")
