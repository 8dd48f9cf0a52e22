"""What Dagster loads: made of `companies.yml`, which is read and checked, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import dagster

from ap_connectors.core.errors import Stop
from ap_connectors.fleet import companies
from ap_connectors.fleet.dagster import assets, automation

VARIABLE = "AP_FLEET_COMPANIES"
_EXAMPLE = Path(__file__).parents[3] / "demo" / "companies" / "companies.yml"
"""In a clone: the companies of the sandbox."""


def place() -> Path:
    """Return where `companies.yml` is: as AP_FLEET_COMPANIES says, else here, else the example of a clone.

    Raises:
        Stop: it is in none of these places.
    """
    if named := os.environ.get(VARIABLE, "").strip():
        return Path(named)
    found = next(filter(Path.is_file, (Path("companies.yml"), _EXAMPLE)), None)
    if found is None:
        raise Stop(f"There is no companies.yml in {Path.cwd()}; {VARIABLE} may name it.")
    return found


def definitions(path: Path) -> dagster.Definitions:
    """Return the fleet as Dagster knows it.

    Raises:
        Stop: the file is not usable.
    """
    fleet = companies.read(path)
    made = assets.pipelines(fleet)
    return dagster.Definitions(
        assets=[made],
        schedules=automation.schedules(fleet),
        sensors=automation.sensors(fleet, made),
        # A process for each step besides that of the run would cost two seconds more, and there is one step.
        executor=dagster.in_process_executor,
    )
