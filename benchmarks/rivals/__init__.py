"""What is measured beside our commands: what one would write in an hour, and what other projects offer."""
