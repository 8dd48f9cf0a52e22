"""A stand-in for SNS: signs messages with a certificate of its own, serves it, and notes who asks for what."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:000000000001:DPWebHook_onexport"
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


def now(seconds: float = 0) -> str:
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Signer:
    """A key and its certificate."""

    def __init__(self, owner: str = "sns.amazonaws.com", *, days: tuple[int, int] = (-1, 30), bits: int = 2048) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])
        today = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + timedelta(days=days[0]))
            .not_valid_after(today + timedelta(days=days[1]))
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, message: dict[str, Any]) -> dict[str, Any]:
        text = "".join(f"{name}\n{message[name]}\n" for name in _SIGNED[message["Type"]] if name in message)
        algorithm = hashes.SHA1() if message["SignatureVersion"] == "1" else hashes.SHA256()
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return message | {"Signature": base64.b64encode(signature).decode()}


class SnsDouble:
    """Serves certificates and confirmations on 127.0.0.1."""

    def __init__(self) -> None:
        self.signer = Signer()
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {"/cert.pem": (200, {}, self.signer.pem)}
        self.asked: list[str] = []
        self.confirm_with = 200
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.asked.append(self.path)
                path = self.path.partition("?")[0]
                headers: dict[str, str] = {}
                if path == "/":
                    status, body = double.confirm_with, b"<ConfirmSubscriptionResponse/>"
                else:
                    status, headers, body = double.pages.get(path, (404, {}, b""))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.place}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, signer: Signer, path: str) -> str:
        """Serve another certificate; return its address."""
        self.pages[path] = (200, {}, signer.pem)
        return self.url + path

    def notification(
        self, content: Any = None, *, version: str = "1", signer: Signer | None = None, **fields: Any
    ) -> dict[str, Any]:
        text = content if isinstance(content, str) else json.dumps(content or {"companyCode": "302320404"})
        message = {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Message": text,
            "Timestamp": now(),
            "SignatureVersion": version,
            "SigningCertURL": f"{self.url}/cert.pem",
            "UnsubscribeURL": f"{self.url}/?Action=Unsubscribe",
            "MessageAttributes": {"account": {"Type": "String", "Value": "777756e2"}},
        }
        return (signer or self.signer).sign(message | fields)

    def confirmation(self, *, topic: str = TOPIC, signer: Signer | None = None, **fields: Any) -> dict[str, Any]:
        message = {
            "Type": "SubscriptionConfirmation",
            "MessageId": str(uuid.uuid4()),
            "Token": "2336412f37fb687f5d51e6e2",
            "TopicArn": topic,
            "Message": "You have chosen to subscribe.\nVisit the SubscribeURL.",
            "SubscribeURL": f"{self.url}/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336412f37fb687f5d51e6e2",
            "Timestamp": now(),
            "SignatureVersion": "1",
            "SigningCertURL": f"{self.url}/cert.pem",
        }
        return (signer or self.signer).sign(message | fields)
