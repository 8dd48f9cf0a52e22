"""An offline, stateful emulator of the services that the connectors talk to, over real HTTP on 127.0.0.1."""

from ap_connectors.core.cli import start as _start


def main() -> int:
    """Run `ap-sandbox`."""
    return _start("ap-sandbox", "sandbox", "ap_connectors.sandbox.cli")
