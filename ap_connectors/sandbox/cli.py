"""The command `ap-sandbox`."""

from __future__ import annotations

import functools
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import click
import msgspec
import uvicorn

from ap_connectors.sandbox.app import build
from ap_connectors.sandbox.ivesk import PREFIX
from ap_connectors.sandbox.options import Options, described
from ap_connectors.sandbox.state import Setup
from ap_connectors.sandbox.vicai.options import VicaiOptions
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI

Command = Callable[..., Any]
_VICAI = "vicai-"


class _Server(uvicorn.Server):
    """Says one line as soon as it accepts connections."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            click.echo(self._line)
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Calls that are cut off by stopping are nobody's error.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        super().handle_exit(sig, frame)


def _behaviour(command: Command, options: type[msgspec.Struct], prefix: str = "") -> Command:
    """Adds a flag for each of the options."""
    for name, kind, default, text in reversed(list(described(options))):
        choices = getattr(kind, "__args__", None)
        more: dict[str, Any] = {"type": click.Choice([str(one) for one in choices]) if choices else kind}
        if kind is bool:  # `--extra-fields` and `--extra-fields=true` are the same
            more |= {"is_flag": False, "flag_value": "true"}
        flag = f"--{prefix}{name.replace('_', '-')}"
        command = click.option(flag, default=default, show_default=True, help=text, **more)(command)
    return command


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine only.")
@click.option("--port", default=8722, show_default=True, type=click.IntRange(0, 65535), help="0 = any free one.")
@click.option("--documents", default=400, show_default=True, type=click.IntRange(0, 1_000_000))
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--api-key", default="sandbox-key", show_default=True, help="What x-api-key must be.")
@click.option("--invoices", default=400, show_default=True, type=click.IntRange(0, 1_000_000), help="Vic.ai's.")
@click.option("--client-id", default=Setup.client_id, show_default=True, help="Whom Vic.ai grants tokens to.")
@click.option("--client-secret", default=Setup.client_secret, show_default=True, help="What proves it.")
@functools.partial(_behaviour, options=Options)
@functools.partial(_behaviour, options=VicaiOptions, prefix=_VICAI)
def main(  # noqa: PLR0917 - click calls it by name
    host: str,
    port: int,
    documents: int,
    seed: int,
    api_key: str,
    invoices: int,
    client_id: str,
    client_secret: str,
    **behaviour: Any,
) -> None:
    """Emulates the services offline, on this machine only, with data that is invented but looks real."""
    address = _loopback(host)
    try:
        vicai = {name: behaviour.pop(name) for name in list(behaviour) if name.startswith("vicai_")}
        options = Options().changed(behaviour)
        others = VicaiOptions().changed({name.removeprefix("vicai_"): value for name, value in vicai.items()})
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    if not api_key.isascii() or not api_key.strip():
        raise click.UsageError("--api-key must be plain ASCII and not empty")
    # Stopping is not an error: leave quietly, whatever else is going on.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    listener = _listen(address, port)
    app = build(Setup(documents, seed, api_key, options, invoices, client_id, client_secret, others))
    port = listener.getsockname()[1]
    url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    key, secret = _shown(api_key, Setup.api_key), _shown(client_secret, Setup.client_secret)
    line = (
        f"ap-sandbox: {url}  ivesk at {PREFIX} (x-api-key: {key}), {documents} documents; "
        f"vicai at {VICAI} (client_id: {client_id}, client_secret: {secret}), {invoices} invoices; Ctrl-C stops it"
    )
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    _Server(config, line).run(sockets=[listener])


def _shown(secret: str, default: str) -> str:
    return secret if secret == default else "as given"


def _loopback(host: str) -> str:
    """The address to listen on; anything but this machine itself is refused."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise click.UsageError(f"--host {host} is not an address such as 127.0.0.1") from None
    if not address.is_loopback:
        raise click.UsageError(f"--host {host} can be reached from other machines; the sandbox serves 127.0.0.1 only")
    return str(address)


def _listen(address: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's delay off only where it is; answers would take 40 ms more.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"cannot listen on {address}:{port} ({error.strerror}); another --port, or --port 0, will do"
        ) from None
    return listener


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
