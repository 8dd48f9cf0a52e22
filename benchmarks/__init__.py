"""Speed and memory of `tap-ivesk`, measured beside the alternatives: `make bench`, or `python -m benchmarks --help`."""
