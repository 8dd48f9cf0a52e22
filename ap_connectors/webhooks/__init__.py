"""`ap-webhooks`: receives webhooks of Vic.ai and Įvesk, stores them, and runs commands for them."""

from ap_connectors.core.cli import start as _start


def main() -> int:
    """Run `ap-webhooks`."""
    return _start("ap-webhooks", "webhooks", "ap_connectors.webhooks.cli")
