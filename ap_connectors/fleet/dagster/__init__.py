"""The code location of Dagster: `dagster dev -m ap_connectors.fleet.dagster`.

Companies are partitions, pipelines are assets, comparing with the services is their check. Nothing runs at import; the
fleet is read anew from `companies.yml` whenever something does.
"""

from ap_connectors.fleet.dagster.location import definitions, place

defs = definitions(place())
