"""Floor 1: instants, bookmarks, exact JSON and decimals, redaction, messages, errors. No HTTP, no SDK."""
