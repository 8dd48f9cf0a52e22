"""Floor 4: `tap-vicai`, everything that Vic.ai holds, as Singer streams."""
