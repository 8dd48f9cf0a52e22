"""Webhooks that the sandbox really sends: Įvesk's through a small Amazon SNS of its own, Vic.ai's directly."""
