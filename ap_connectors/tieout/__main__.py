"""`python -m ap_connectors.tieout` is `ap-tieout`."""

import sys

from ap_connectors.tieout import main

sys.exit(main())
