"""`python -m tap_rejects` is `tap-rejects`."""

from tap_rejects.tap import TapRejects

TapRejects.cli()
