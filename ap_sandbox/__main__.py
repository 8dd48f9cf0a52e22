"""`python -m ap_sandbox` is the same as `ap-sandbox`."""

from ap_sandbox.cli import main

main()
