"""`python -m ap_connectors.sandbox` is the same as `ap-sandbox`."""

from ap_connectors.sandbox.cli import main

main()
