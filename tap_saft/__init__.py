"""Floor 4: `tap-saft`, SAF-T Financial files (XML) as a Singer tap."""
