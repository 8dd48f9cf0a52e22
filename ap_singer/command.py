"""The command line of every plugin: errors in one or two lines, secrets in none, a traceback only for debugging."""

from __future__ import annotations

import difflib
import gc
import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import click
from jsonschema import ValidationError
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.plugin_base import SingerCommand

from ap_http.ending import end_waiting
from ap_http.errors import ApError, Stop

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
