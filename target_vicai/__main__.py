"""`python -m target_vicai` is `target-vicai`."""

from target_vicai.target import TargetVicai

TargetVicai.cli()
