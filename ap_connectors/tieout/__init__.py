"""Beside the floors: does what came in equal what went out? Reads both sides, changes neither."""

from ap_connectors.core import cli


def main() -> int:
    """Run `ap-tieout`."""
    return cli.start("ap-tieout", "tieout", "ap_connectors.tieout.cli")
