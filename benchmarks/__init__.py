"""Speed and memory of the taps, measured beside the alternatives: `make bench`, or `python -m benchmarks --help`."""
