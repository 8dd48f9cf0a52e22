"""The receiver's page, at a port of its own: runs with their last error line, events by state, gaps, and retry."""
