"""`python -m target_ivesk` is `target-ivesk`."""

from target_ivesk.target import TargetIvesk

TargetIvesk.cli()
