"""The command of a target: its options, and `--test`."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import click
from singer_sdk import Target

from ap_connectors.core import files, sheets
from ap_connectors.core.errors import Stop
from ap_connectors.singer import listing, sheet_lists
from ap_connectors.singer._sdk import ConfigInput


class LoadCommand(Target):
    """A target whose command can also check whether a load could begin."""

    list_template: ClassVar[staticmethod[[str], sheets.Sheet] | None] = None
    """Returns the blank list of a stream, where streams have columns that are known."""

    @property
    @abstractmethod
    def proof(self) -> str:
        """What `--test` has found out."""

    @classmethod
    @abstractmethod
    def own_command(cls) -> str:
        """Return the command with its --config, to be copied into a shell."""

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the settings of stream maps, but not those that only databases follow (load_method, batch_size_rows)."""
        super(Target, cls).append_builtin_config(config_jsonschema)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command; `--test` checks whether a load could begin."""
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--test"],
                is_flag=True,
                expose_value=False,
                callback=cls.cb_test,
                help="Check credentials and address, and load nothing.",
            )
        )
        if cls.list_template is not None:
            command.params.append(
                click.Option(
                    ["--template"],
                    metavar="FILE",
                    expose_value=False,
                    callback=cls.cb_template,
                    help="Write a blank list (vendors.xlsx, vendors.csv) to fill in and to load, and end.",
                )
            )
        return command

    @classmethod
    def cb_template(cls, ctx: click.Context, param: click.Option, value: str | None) -> None:  # noqa: ARG003
        """Write a blank list, and say what to do with it.

        Raises:
            Stop: it cannot be written, or something of this name is there.
        """
        if not value or cls.list_template is None:
            return
        path = Path(value)
        listing.require("--template", value, (".xlsx", ".csv"))
        blank = cls.list_template(sheet_lists.stream_of(path))
        if path.exists():
            raise Stop(f"--template: {value} exists, and may have been filled in. Name another file.")
        try:
            files.replace(path, sheets.csv_bytes(blank) if path.suffix == ".csv" else sheets.xlsx_bytes([blank]))
        except OSError as error:
            raise Stop(f"--template: {value} cannot be written: {error.strerror or type(error).__name__}.") from None
        click.echo(
            f"{value} has the columns of {blank.name}. Fill in a row for each, delete the columns that are not needed, "
            f"and load it: {cls.own_command()} --input {shlex.quote(value)}"
        )
        ctx.exit()

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: bool) -> None:  # noqa: ARG003
        """Say whether a load could begin."""
        if value:
            given = ctx.params.get("config", ConfigInput())
            target = cls(config=given.config, parse_env_config=given.parse_env)
            click.echo(f"{target.name}: {target.proof}; a load could begin.")
            ctx.exit()
