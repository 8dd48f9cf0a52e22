"""The sandbox in a browser: what it holds and what happened, with buttons; and the reference of its control API."""
