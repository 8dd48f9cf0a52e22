"""Runs a receiver in a process of its own; its one argument is JSON: inbox, token, secret, topic, place of SNS."""

from __future__ import annotations

import json
import sys

from ap_connectors.webhooks.config_file import Texts
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.receiver import create_app
from ap_connectors.webhooks.serve import serve_app
from ap_connectors.webhooks.settings import Settings


def main() -> None:
    """Serve on a free port, and print the address."""
    given = json.loads(sys.argv[1])
    inbox = Inbox(given["inbox"])
    settings = Settings(
        vicai_token=Texts([given["token"]]),
        ivesk_secret=Texts([given["secret"]]),
        ivesk_topics=Texts([given["topic"]]),
        ivesk_test_hosts=Texts([given["sns"]]),
    )
    serve_app(create_app(settings, inbox, lambda _ids: None), port=0, ready=lambda url: print(url, flush=True))
    inbox.close()


main()
