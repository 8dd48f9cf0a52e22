"""Beside the floors: does what came in equal what went out? Reads both sides, changes neither."""
