"""What our taps and targets share: settings that are checked and explained, a command that ends in clear words."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import click
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.plugin_base import JSONSchemaValidator, PluginBase, _ConfigInput

from ap_http.errors import Stop
from ap_singer.command import ClearCommand, explain, misspelt, read_config


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
