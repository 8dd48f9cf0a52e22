"""`python -m ap_connectors.webhooks` is `ap-webhooks`."""

import sys

from ap_connectors.webhooks import main

sys.exit(main())
