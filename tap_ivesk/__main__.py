"""`python -m tap_ivesk` is `tap-ivesk`."""

from tap_ivesk.tap import TapIvesk

TapIvesk.cli()
