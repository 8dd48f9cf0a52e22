"""`python -m ap_webhooks` is `ap-webhooks`."""

import sys

from ap_webhooks.cli import main

sys.exit(main())
