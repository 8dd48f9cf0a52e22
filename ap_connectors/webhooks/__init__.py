"""`ap-webhooks`: receives webhooks of Vic.ai and Įvesk, stores them, and runs commands for them."""

from ap_connectors.core import cli


def main() -> int:
    """Run `ap-webhooks`."""
    return cli.start("ap-webhooks", "webhooks", "ap_connectors.webhooks.cli")
