"""Floor 1: one door for HTTP per service, and what must live in a door.

Timeouts, retries, ``Retry-After``, redaction, the translation of failures into errors that say what to do
next, and concurrency that keeps order. Knows no service and no Singer.
"""
