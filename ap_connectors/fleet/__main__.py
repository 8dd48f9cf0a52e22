"""Run `ap-fleet` by `python -m ap_connectors.fleet`."""

import sys

from ap_connectors.fleet import main

sys.exit(main())
