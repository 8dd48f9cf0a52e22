"""`python -m tap_vicai` is `tap-vicai`."""

from tap_vicai.tap import TapVicai

TapVicai.cli()
