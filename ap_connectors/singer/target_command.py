"""The command of a target: its options, and `--test`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import click
from singer_sdk import Target

from ap_connectors.singer._sdk import ConfigInput


class LoadCommand(Target):
    """A target whose command can also check whether a load could begin."""

    @property
    @abstractmethod
    def proof(self) -> str:
        """What `--test` has found out."""

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
        return command

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: bool) -> None:  # noqa: ARG003
        """Say whether a load could begin."""
        if value:
            given = ctx.params.get("config", ConfigInput())
            target = cls(config=given.config, parse_env_config=given.parse_env)
            click.echo(f"{target.name}: {target.proof}; a load could begin.")
            ctx.exit()
