"""`python -m ap_tieout` is `ap-tieout`."""

import sys

from ap_tieout.cli import main

sys.exit(main())
