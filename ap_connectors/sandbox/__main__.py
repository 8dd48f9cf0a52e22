"""`python -m ap_connectors.sandbox` is the same as `ap-sandbox`."""

import sys

from ap_connectors.sandbox import main

sys.exit(main())
