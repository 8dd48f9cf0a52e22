"""Beside the floors: does what came in equal what went out? Reads both sides, changes neither."""

from ap_connectors.core.cli import start as _start


def main() -> int:
    """Run `ap-tieout`."""
    return _start("ap-tieout", "tieout", "ap_connectors.tieout.cli")
