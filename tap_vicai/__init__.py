"""Floor 4: `tap-vicai`, everything that Vic.ai has, as a Singer tap."""
