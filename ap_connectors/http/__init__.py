"""Floor 2: one HTTP client for all services: timeouts, retries, rate limits, redaction, clear errors, ordered threads.

It knows neither a service nor Singer.
"""
