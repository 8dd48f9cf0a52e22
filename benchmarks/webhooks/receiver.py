"""Runs a receiver in a process of its own; its one argument is JSON: inbox, token, secret, topic, place of SNS."""

from __future__ import annotations

import json
import sys

from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.receiver import create_app
from ap_connectors.webhooks.serve import serve_app
from ap_connectors.webhooks.settings import Receiving


def main() -> None:
    """Serve on a free port, and print the address."""
    given = json.loads(sys.argv[1])
    inbox = Inbox(given["inbox"])
    receiving = Receiving(
        vicai_tokens=(given["token"],),
        ivesk_secrets=(given["secret"],),
        ivesk_topics=(given["topic"],),
        test_hosts=(given["sns"],),
    )
    serve_app(create_app(receiving, inbox, lambda _ids: None), port=0, ready=lambda url: print(url, flush=True))
    inbox.close()


main()
