"""The Vic.ai half, in either age: API 0.20.0 or 10.40.4, emulated."""
