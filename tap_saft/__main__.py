"""`python -m tap_saft` is `tap-saft`."""

from tap_saft.tap import TapSaft

TapSaft.cli()
