"""`python -m tap_webhooks` is `tap-webhooks`."""

from tap_webhooks.tap import TapWebhooks

TapWebhooks.cli()
