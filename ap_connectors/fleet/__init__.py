"""The pipelines of many companies, once, side by side: `ap-fleet`."""

import signal as _signal

from ap_connectors.core.cli import start as _start


def main() -> int:
    """Run `ap-fleet`."""
    # What stops services sends it: outside of a batch it ends the command as Ctrl-C does, with a line that says so.
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    return _start("ap-fleet", "fleet", "ap_connectors.fleet.cli")
