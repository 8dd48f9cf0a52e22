"""The command `ap-sandbox`."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import msgspec
import uvicorn

from ap_connectors.core import cli
from ap_connectors.core.errors import Stop
from ap_connectors.sandbox import naming
from ap_connectors.sandbox.app import build
from ap_connectors.sandbox.control import MOST_NEW
from ap_connectors.sandbox.ivesk.service import PREFIX
from ap_connectors.sandbox.options import AnyOptions, Options, VicaiOptions, described
from ap_connectors.sandbox.tenants import Setup
from ap_connectors.sandbox.vicai.service import PREFIX as VICAI


class _Server(uvicorn.Server):
    """Prints one line as soon as it accepts connections."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._line, flush=True)  # noqa: T201

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Calls that are cut off by stopping are not errors.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        super().handle_exit(sig, frame)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return cli.main(_parser(), arguments)


def _serve(given: argparse.Namespace) -> int:
    # Stopping is not an error: leave quietly, whatever else is going on.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    setup = Setup(
        documents=given.documents,
        seed=given.seed,
        api_key=given.api_key,
        options=_chosen(given, Options),
        invoices=given.invoices,
        client_id=given.client_id,
        client_secret=given.client_secret,
        vicai=_chosen(given, VicaiOptions, "vicai_"),
    )
    listener = _listen(given.host, given.port)
    app = build(setup, given.companies)
    port = listener.getsockname()[1]
    url = f"http://[{given.host}]:{port}" if ":" in given.host else f"http://{given.host}:{port}"
    key, secret = naming.shown(setup.api_key, Setup.api_key), naming.shown(setup.client_secret, Setup.client_secret)
    line = (
        f"ap-sandbox: {url}  {_many(given.companies)}"
        f"ivesk at {PREFIX} (x-api-key: {key}), {setup.documents} documents; "
        f"vicai at {VICAI} (client_id: {setup.client_id}, client_secret: {secret}), {setup.invoices} invoices; "
        "Ctrl-C stops it"
    )
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    _Server(config, line).run(sockets=[listener])
    return 0


def _many(companies: int) -> str:
    if companies == 1:
        return ""
    endings = "-002" if companies == 2 else f"-002 to -{companies:03d}"
    return f"{companies} companies (behind each credential of all but the first: {endings}); "


# Arguments


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "ap-sandbox",
        "Emulate the services offline, on this machine only, with data that is invented but looks real.",
        usage="%(prog)s [options]",
    )

    def add(flag: str, help_: str, default: Any, **more: Any) -> None:
        parser.add_argument(flag, default=default, help=f"{help_} (default: %(default)s)", **more)

    add("--host", "address of this machine only", "127.0.0.1", type=_loopback)
    add("--port", "0 = any free one", 8722, type=_whole(0, 65535))
    companies = "how many companies, each with credentials and data of its own"
    add("--companies", companies, 1, type=_whole(1, naming.MOST))
    add("--documents", "how many Įvesk has", Setup.documents, type=_whole(0, MOST_NEW))
    add("--seed", "the same seed gives the same data", Setup.seed, type=int)
    add("--api-key", "what x-api-key must be", Setup.api_key, type=_ascii)
    add("--invoices", "how many Vic.ai has", Setup.invoices, type=_whole(0, MOST_NEW))
    add("--client-id", "whom Vic.ai grants tokens to", Setup.client_id)
    add("--client-secret", "the secret of --client-id", Setup.client_secret)
    for options, prefix in ((Options, ""), (VicaiOptions, "vicai_")):
        for name, kind, default, text in described(options):
            allowed = f"{{{','.join(map(str, kind.__args__))}}}" if hasattr(kind, "__args__") else kind.__name__.upper()
            # `--extra-fields` and `--extra-fields=true` are the same.
            more: dict[str, Any] = {"nargs": "?", "const": True} if kind is bool else {}
            flag = f"--{prefix}{name}".replace("_", "-")
            add(flag, text.replace("%", "%%"), default, type=_option(options, name), metavar=allowed, **more)
    cli.runs(parser, _serve, log_level="error")
    return parser


def _chosen(given: argparse.Namespace, options: type[AnyOptions], prefix: str = "") -> AnyOptions:
    return options(**{name: getattr(given, prefix + name) for name, *_ in described(options)})


def _option(options: type[msgspec.Struct], name: str) -> Callable[[str], Any]:
    """Return what reads an option's value, and refuses one that is not allowed."""

    def read(text: str) -> Any:
        try:
            return getattr(msgspec.convert({name: text}, options, strict=False), name)
        except msgspec.ValidationError as error:
            raise argparse.ArgumentTypeError(str(error).partition(" - at ")[0]) from None

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not least <= (number := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}")
        return number

    read.__name__ = "whole number"  # as argparse calls it
    return read


def _ascii(key: str) -> str:
    if not key.isascii() or not key.strip():
        raise argparse.ArgumentTypeError("must be plain ASCII and not empty")
    return key


def _loopback(host: str) -> str:
    """Return the address to listen on; refuse anything but this machine itself."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{host} is not an address such as 127.0.0.1") from None
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(
            f"{host} can be reached from other machines; the sandbox serves 127.0.0.1 only"
        )
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
        raise Stop(
            f"cannot listen on {address}:{port} ({error.strerror}); choose another --port, or --port 0 for a free one."
        ) from None
    return listener


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
