"""Floor 3: what every plugin shares: exact records, a fast writer, clear setting errors, files. Knows no service."""
