"""`python -m ap_connectors.webhooks` is `ap-webhooks`."""

import sys

from ap_connectors.webhooks.cli import main

sys.exit(main())
