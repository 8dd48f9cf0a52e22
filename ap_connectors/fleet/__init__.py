"""The pipelines of many companies, once, side by side: `ap-fleet`."""

from ap_connectors.core.cli import start as _start


def main() -> int:
    """Run `ap-fleet`."""
    return _start("ap-fleet", "fleet", "ap_connectors.fleet.cli")
