"""`python -m ap_connectors.tieout` is `ap-tieout`."""

import sys

from ap_connectors.tieout.cli import main

sys.exit(main())
