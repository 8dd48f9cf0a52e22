"""The base of all plugins: settings that are checked and explained, and a command that ends in clear words.

Errors take one or two lines and show no secret; a traceback comes with --log-level=debug only.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import click
from singer_sdk.cli import plugin_cli
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.plugin_base import SingerCommand

from ap_connectors.core import cli, instants, settings
from ap_connectors.core.errors import ApError, Stop
from ap_connectors.http import shutdown
from ap_connectors.singer._sdk import ConfigInput, SdkPlugin

_ABOUT = re.compile("--about=(.+)")


class ClearPlugin(SdkPlugin):
    """A plugin that explains itself. Name it before the SDK's `Tap` or `Target` among the bases."""

    package_name = "ap-connectors"

    @property
    def user_agent(self) -> str:
        """How the plugin introduces itself to a service."""
        return self.config.get("user_agent") or f"ap-connectors/{self.plugin_version} {self.name}"

    @property
    def timeout(self) -> float:
        """Seconds to wait for a connection, and between two pieces of an answer."""
        return self.config.get("request_timeout") or 60

    given_config: ClassVar[Sequence[str]] = ()
    """What the command got with --config."""

    @classmethod
    def own_command(cls) -> str:
        """Return the command with its --config, to be copied into a shell."""
        return shlex.join([cls.name, *(f"--config={one}" for one in cls.given_config or ["ENV"])])

    # Settings

    @classmethod
    def settings_from_environment(cls) -> dict[str, Any]:
        """Return the settings that the environment has.

        Raises:
            Stop: one has the wrong type.
        """
        properties = cls.config_jsonschema["properties"]
        # Unknown ones are looked at together with those of the files.
        strays = settings.unknown_variables(properties, cls.env_prefix())
        return {**settings.from_environment(properties, cls.env_prefix()), **strays}

    def tidy_settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they are meant: without empty ones and white space around."""
        return settings.tidy(given, self.config_jsonschema["properties"])

    def settings_problems(self) -> list[str]:
        """Return what is wrong with the settings; warn of unknown ones that are not a misspelling of a known one."""
        # Before the schema is looked at, which fills in the defaults.
        in_files = set(self.given_settings)
        unknown = list(settings.unknown(self.given_settings, self.config_jsonschema["properties"]))
        # The SDK may name what is required twice.
        problems = list(dict.fromkeys(settings.explain(self.schema_errors(), self.env_prefix())))
        for name, meant in unknown:
            variable = f"{self.env_prefix()}{name.upper()}"
            in_environment = self.given_settings[name] == variable
            if meant is None:
                given, prefix = (variable, self.env_prefix()) if in_environment else (name, "")
                self.logger.warning(
                    "The setting %s", settings.no_effect(given, self.config_jsonschema["properties"], prefix)
                )
            elif in_environment:
                problems.append(f"{variable} sets nothing; did you mean {self.env_prefix()}{meant.upper()}?")
            else:
                problems.append(f"{name} is not a setting; did you mean {meant}?")
        if self.given_config and "ENV" not in self.given_config:
            known = self.config_jsonschema["properties"]
            for warning in settings.idle_variables(in_files, known, self.env_prefix()):
                self.logger.warning("%s", warning)
        begin = self.config.get("start_date")
        if isinstance(begin, str) and not any(problem.startswith("start_date") for problem in problems):
            try:
                instants.setting("start_date", begin)
            except Stop as error:
                problems.append(str(error))
        return problems

    # The command

    @plugin_cli
    def cli(cls) -> click.Command:  # noqa: N805 - the decorator makes it a property of the class
        """Run the command line; a log level in the environment that does not exist is as if it were not set."""
        for name in (f"{cls.env_prefix()}LOGLEVEL", "LOGLEVEL"):
            if os.environ.get(name, "").lower() not in {*cli.LEVELS, "critical"}:
                os.environ.pop(name, None)
        command: click.Command = super().cli
        return command

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, in the form that explains errors."""
        command = super().get_singer_command()
        cls.logger.addFilter(_is_news)
        return ClearCommand(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            help=f"{(cls.__doc__ or '').splitlines()[0]}",
            logger=cls.logger,
        )

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> ConfigInput:  # noqa: ARG003
        """Read the files of --config; the environment wins over them.

        Raises:
            Stop: a file cannot be read, or is not a JSON object.
        """
        given: dict[str, Any] = {}
        cls.given_config = value
        for path in value:
            if path != "ENV":
                given |= settings.read_file(path, cls.config_jsonschema["properties"])
        return ConfigInput(given, parse_env="ENV" in value)


_NO_NEWS = ("Added '%s' as child stream", "Parsing env var", "Skipping parse of env var")


class ClearCommand(SingerCommand):
    """Runs a plugin; ends with status 1 and a clear message whatever goes wrong."""

    failure: ApError | None = None
    """The error that ended the run, for who runs the command in a process of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--log-level"],
                type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
                help="How much to log; debug also shows tracebacks. Default: LOGLEVEL from the environment, or info.",
                is_eager=True,
                expose_value=False,
                callback=_set_log_level,
            )
        )

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; explain what it raises."""
        # What is loaded by now stays: the collector need not look through it again and again while records fly by.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        cli.prepare_output()
        logging.setLogRecordFactory(cli.PrintableRecord)
        if sys.stdout is None:
            self._fail("Standard output is closed, so there is nowhere to write to.")
        try:
            return super().main(*args, **kwargs)
        except ApError as error:
            self.failure = error
            self._fail(str(error))
        except ConfigValidationError as error:
            for problem in error.errors:
                self.logger.error("%s", problem)  # noqa: TRY400 - the words are the explanation
            self._fail("The settings are not usable; see above. All settings: --about.")
        except (MapExpressionError, StreamMapConfigError) as error:
            self._fail(
                f"stream_maps: {str(error).rstrip('.')}. Check the expressions; see docs of the SDK's stream maps."
            )
        except Exception as error:
            cli.abandon_output()
            self._fail(cli.unexpected(error))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, and print the page that they ask for; it may be cut by `| head`."""
        try:
            try:
                return super().make_context(*args, **kwargs)
            finally:
                cli.flush_output()
        except BrokenPipeError:
            cli.abandon_output()
            sys.exit(0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Understand ``--about=json``, too, beside the SDK's ``--about --format=json``."""
        plain: list[str] = []
        for arg in args:
            style = _ABOUT.fullmatch(arg)
            plain += ["--about", f"--format={style[1]}"] if style else [arg]
        try:
            return super().parse_args(ctx, plain)
        except click.UsageError as error:
            named = {option for one in self.params for option in one.opts}
            if "unexpected extra argument" not in error.message or not (files := {"--config", "--input"} & named):
                raise
            advice = f"{error.message.rstrip('.')}. Name a file with {' or '.join(sorted(files))}."
            raise click.UsageError(advice, ctx=error.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say when the reader of our output has ended, which click would keep to itself."""
        logging.captureWarnings(capture=True)
        try:
            try:
                # The SDK's own would explain settings once more.
                return super(SingerCommand, self).invoke(ctx)
            finally:
                cli.flush_output()
        except BrokenPipeError:
            cli.abandon_output()
            if ctx.params.get("about"):
                sys.exit(0)
            raise Stop(
                "The program that reads our output has ended; see its messages. "
                "The next run goes on from the last STATE."
            ) from None

    def _fail(self, message: str) -> None:
        shutdown.request()
        debug = logging.getLogger().isEnabledFor(logging.DEBUG)
        for number, line in enumerate(message.split("\n")):
            self.logger.error("%s", line, exc_info=debug and not number)
        sys.exit(1)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a line of the SDK's log tells a user anything."""
    return record.levelno > logging.INFO or not str(record.msg).startswith(_NO_NEWS)


def _set_log_level(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001
    if value and not ctx.resilient_parsing:
        logging.getLogger().setLevel(value.upper())
