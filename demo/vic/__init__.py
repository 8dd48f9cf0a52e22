"""Vic.ai's part of the demo: every record of every stream, compared with what the sandbox holds."""
