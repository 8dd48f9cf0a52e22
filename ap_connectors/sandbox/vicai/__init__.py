"""The Vic.ai half: API 0.20.0, emulated."""
