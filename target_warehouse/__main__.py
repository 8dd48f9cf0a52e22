"""`python -m target_warehouse` is `target-warehouse`."""

from target_warehouse.target import TargetWarehouse

TargetWarehouse.cli()
