"""A receiver of webhooks: it keeps what came, answers as told, and knows what SNS's messages look like."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SIGNED = {
    "Notification": ("Message", "MessageId", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


@dataclass
class Delivery:
    """A request that came."""

    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answers = Callable[[Delivery], tuple[int, bytes]]


class Receiver:
    """Listens on 127.0.0.1. `answers` says what each delivery gets (200 unless told); `slow` how long that takes."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self.answers: Answers = lambda _: (200, b"{}")
        self.slow = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                delivery = Delivery(self.path, self.headers, body)
                receiver.deliveries.append(delivery)
                time.sleep(receiver.slow)
                status, answer = receiver.answers(delivery)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: Any) -> None:
                """A sender that has stopped waiting is not an error here."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, *statuses: int) -> None:
        """Answer with these statuses in turn, the last one for all that follow."""
        left = list(statuses)
        self.answers = lambda _: (left.pop(0) if len(left) > 1 else left[0], b"{}")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def verified(delivery: Delivery) -> dict[str, Any]:
    """Hold an SNS message against its own certificate, as a careful receiver does; gives the message."""
    message: dict[str, Any] = delivery.json
    text = "".join(f"{name}\n{message[name]}\n" for name in SIGNED[message["Type"]]).encode()
    pem = requests.get(message["SigningCertURL"], timeout=10)
    assert pem.status_code == 200
    key = x509.load_pem_x509_certificate(pem.content).public_key()
    assert isinstance(key, RSAPublicKey)
    digest: Any = {"1": hashes.SHA1(), "2": hashes.SHA256()}[message["SignatureVersion"]]
    key.verify(base64.b64decode(message["Signature"]), text, padding.PKCS1v15(), digest)
    assert delivery.headers["x-amz-sns-message-type"] == message["Type"]
    assert delivery.headers["x-amz-sns-message-id"] == message["MessageId"]
    assert delivery.headers["x-amz-sns-topic-arn"] == message["TopicArn"]
    assert delivery.headers["content-type"] == "text/plain; charset=UTF-8"
    return message
