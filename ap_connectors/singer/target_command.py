"""The command of a target: its options, and `--test`."""

from __future__ import annotations

from abc import abstractmethod
from typing import IO, Any

import click
from singer_sdk import Target

from ap_connectors.singer._sdk import ConfigInput


class LoadCommand(Target):
    """A target whose command can also check whether a load could begin."""

    @property
    @abstractmethod
    def proof(self) -> str:
        """What `--test` has found out."""

    @abstractmethod
    def run(self, file_input: IO[str] | None) -> None:
        """Load everything."""

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the settings of stream maps, but not those that only databases follow (load_method, batch_size_rows)."""
        super(Target, cls).append_builtin_config(config_jsonschema)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command; `--test` checks whether a load could begin."""
        command = super().get_singer_command()
        command.params.append(
            click.Option(["--test"], is_flag=True, help="Check credentials and address, and load nothing.")
        )
        return command

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
        file_input: IO[str] | None = None,
        test: bool = False,
    ) -> None:
        """Run the target, or check whether it could run."""
        super(Target, cls).invoke(about=about, about_format=about_format)
        config = config or ConfigInput()
        target = cls(config=config.config, parse_env_config=config.parse_env)
        if test:
            click.echo(f"{target.name}: {target.proof}; a load could begin.")
            return
        target.run(file_input)
