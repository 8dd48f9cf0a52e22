"""The pipelines' part of the demo: SAF-T into Vic.ai, purchases across, errors back, and whether it all ties."""
