"""What our taps and targets share: settings that are checked and explained, a command that ends in clear words."""

from __future__ import annotations

import difflib
import gc
import io
import json
import logging
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import click
from jsonschema import ValidationError
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.plugin_base import JSONSchemaValidator, PluginBase, SingerCommand, _ConfigInput

from ap_connectors.core.errors import ApError, Stop
from ap_connectors.http.shutdown import end_waiting

# The command line of every plugin: errors in one or two lines, secrets in none, a traceback only for debugging.

_PLAIN_TYPES = {
    "string": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


_ABOUT = re.compile("--about=(.+)")


class ClearCommand(SingerCommand):
    """Runs a plugin; ends with status 1 and a clear message whatever goes wrong."""

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
        try:
            return super().main(*args, **kwargs)
        except ApError as error:
            self._end(str(error))
        except ConfigValidationError as error:
            for problem in error.errors:
                self.logger.error("%s", problem)  # noqa: TRY400 - the words are the explanation
            self._end("The settings are not usable; see above. All settings: --about.")
        except (MapExpressionError, StreamMapConfigError) as error:
            self._end(f"stream_maps: {error}. Check the expressions; a record may lack a field that one of them names.")
        except Exception as error:
            self._end(f"{type(error).__name__} that nobody expected; run with --log-level=debug to see where.")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Understand ``--about=json``, too, beside the SDK's ``--about --format=json``."""
        plain: list[str] = []
        for arg in args:
            style = _ABOUT.fullmatch(arg)
            plain += ["--about", f"--format={style[1]}"] if style else [arg]
        return super().parse_args(ctx, plain)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say that the reader has gone away before click ends the process without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python would complain once more when it closes standard output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise Stop(
                "The program that reads our output has ended; see its messages. "
                "The next run goes on from the last STATE."
            ) from None

    def _end(self, message: str) -> None:
        end_waiting()
        debug = logging.getLogger().isEnabledFor(logging.DEBUG)
        self.logger.error("%s", message, exc_info=debug)
        sys.exit(1)


def _set_log_level(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001
    if value and not ctx.resilient_parsing:
        logging.getLogger().setLevel(value.upper())


def read_config(path: str) -> None:
    """Check that a settings file can be read at all, before the SDK does.

    Raises:
        Stop: there is no such file, or it holds no JSON object. The message shows nothing of its content.
    """
    if path == "ENV":
        return
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the path is quoted as typed
            settings = json.load(file)
    except OSError as error:
        raise Stop(f"--config {path}: {error.strerror or 'cannot be read'}.") from None
    except json.JSONDecodeError as error:
        raise Stop(
            f"--config {path}: no valid JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except UnicodeDecodeError:
        raise Stop(f"--config {path}: is not UTF-8 text.") from None
    if not isinstance(settings, dict):
        raise Stop(f"--config {path}: must hold one JSON object with the settings.")


def read_json(option: str, file: IO[str]) -> dict[str, Any]:
    """Read the JSON object of a --state or --catalog file; an empty file is an empty object.

    Raises:
        Stop: it holds something else.
    """
    content = file.read()
    try:
        value = json.loads(content) if content.strip() else {}
    except json.JSONDecodeError as error:
        raise Stop(f"{option}: no valid JSON at line {error.lineno}, column {error.colno}: {error.msg}.") from None
    if not isinstance(value, dict):
        raise Stop(f"{option}: must hold one JSON object.")
    return value


def read_state(file: IO[str]) -> IO[str]:
    """Read a state; also as the whole STATE message, or as `meltano state get` prints it.

    Raises:
        Stop: it is no state. Reading everything anew without saying so would surprise.
    """
    state = read_json("--state", file)
    if state.get("type") == "STATE":
        state = state.get("value") or {}
    state = state.get("singer_state", state)
    if state and not isinstance(state.get("bookmarks"), dict):
        raise Stop("--state: has no 'bookmarks'. Hand in the value of the last STATE line that the target printed.")
    return io.StringIO(json.dumps(state))


def explain(errors: Iterator[ValidationError], prefix: str) -> Iterator[str]:
    """Say in words what is wrong with each setting, never showing a value.

    Args:
        errors: what the settings schema objects to.
        prefix: of the settings' environment variables (``TAP_IVESK_``).
    """
    for error in errors:
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        wanted: Any = error.validator_value
        if error.validator == "required":
            for missing in sorted(set(wanted) - set(cast("dict[str, Any]", error.instance))):
                where = f"{name}.{missing}" if name else missing
                variable = f", or as {prefix}{missing.upper()} with --config=ENV" if not name else ""
                yield f"{where} is missing: set it in the file of --config{variable}."
        elif error.validator == "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            yield f"{name} must be {' or '.join(_PLAIN_TYPES[kind] for kind in kinds if kind != 'null')}."
        elif error.validator in {"enum", "minimum", "maximum", "minLength", "minItems"}:
            yield f"{name} is not allowed: {error.validator} is {wanted}."
        else:
            yield f"{name or 'The settings'}: not valid ({error.validator})."


def misspelt(settings: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield settings that nobody knows, each with the known one that was probably meant and is not set, or None."""
    missing = [name for name in known if name not in settings]
    for name in settings:
        if name not in known:
            yield name, next(iter(difflib.get_close_matches(name, missing, n=1, cutoff=0.75)), None)


class ClearPlugin(PluginBase):
    """To be named before the SDK's `Tap` or `Target` among the bases of a plugin."""

    package_name = "ap-connectors"

    @property
    def user_agent(self) -> str:
        """How the plugin introduces itself to a service."""
        return self.config.get("user_agent") or f"ap-connectors/{self.plugin_version} {self.name}"

    @property
    def timeout(self) -> float:
        """Seconds to wait for a connection, and between two pieces of an answer."""
        return self.config.get("request_timeout") or 60

    # Settings

    @classproperty
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment; one that cannot be read is named, its value is not shown."""
        cls.append_builtin_config(cls.config_jsonschema)
        properties = cls.config_jsonschema["properties"]
        try:
            settings = parse_environment_config(cls.config_jsonschema, cls._env_var_prefix)
        except ValueError:
            for name, schema in properties.items():
                try:
                    parse_environment_config({"properties": {name: schema}}, cls._env_var_prefix)
                except ValueError:
                    wanted = "a whole number" if "integer" in schema["type"] else "JSON"
                    raise Stop(f"{cls._env_var_prefix}{name.upper()} must be {wanted}.") from None
            raise
        for name in settings:
            read = _READERS.get(_kind(properties[name]))
            variable = f"{cls._env_var_prefix}{name.upper()}"
            if read and variable in os.environ:
                settings[name] = read(variable, os.environ[variable])
        return settings

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


def _kind(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", [])
    return next((kind for kind in ([types] if isinstance(types, str) else types) if kind != "null"), "")


def _truth(variable: str, value: str) -> bool:
    # The SDK takes every other word for false: a plan that was asked for with "ja" would write.
    if (word := value.strip().lower()) not in _WORDS:
        raise Stop(f"{variable} must be true or false.")
    return _WORDS[word]


def _number(variable: str, value: str) -> float:
    # The SDK leaves it text, which no setting that is a number takes.
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Stop(f"{variable} must be a number.")
    return number


_WORDS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off", ""), False)
_READERS = {"boolean": _truth, "number": _number}
