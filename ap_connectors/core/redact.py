"""Redaction: secrets stay out of every text that leaves the process."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable

MASK = "***"
Mask = Callable[[str], str]

_SHORT = 6
"""A secret below this many characters is masked only as a whole word: the key "k" is not masked in "network"."""

_WORDS = (
    " a about access account accounts address admin all allowed amount an and another answer api are as at be"
    " been before but by can cannot catalog changed check client code column columns company could data date"
    " day default demo did do document documents does done each empty end error failed field file files first"
    " for from given go goes has have here id in input invoice invoices is it its key last left line lines list"
    " load made many missing more must name network new next no none not nothing null number of on one only"
    " open or other out page password path plan public read reads reason record records refused reject rejects"
    " request requests run said same sandbox second see sent service set setting settings so state status stop"
    " stream streams test text than that the their them then there these they this time times to token too true"
    " try two type unknown up url us user value vendor vendors wait was were what when where which who with"
    " without word words write wrong yes you"
    " "
)
"""Words that messages are made of, and that some choose as a key."""


def _any(letter: str, entity: str) -> str:
    """Return a pattern for a letter of a link, as it is or escaped: in a URL, in JSON, in XML, or twice."""
    code = f"{ord(letter):x}"
    return rf"(?:{re.escape(letter)}|%(?:25)*{code}|\\+u00{code}|&(?:amp;)*(?:#{ord(letter)}|#x0*{code}|{entity});)"


_SLASH = rf"(?:\\*{_any('/', 'sol')})"
_SIGNED_QUERY = re.compile(
    rf"((?:https?|s3|gs|abfss?){_any(':', 'colon')}{_SLASH}{{2}}[^\s\"'<>]*?{_any('?', 'quest')})[^\s\"'<>]+",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    rf"\b((?:x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|googleaccessid|signature|sig)"
    rf"{_any('=', 'equals')})[^\s\"'<>&]+",
    re.IGNORECASE,
)
"""A signature that a message quotes without the beginning of its link."""


class Redactor:
    """Replaces known secrets, and the query of any URL (pre-signed links carry their signature there)."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: Counter[str] = Counter()
        self._masks: dict[str, Mask] = {}
        self._lock = threading.Lock()
        self._secrets: list[Mask] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Mask another text from now on."""
        if not secret:
            return
        with self._lock:
            self._known[secret] += 1
            if secret not in self._masks:
                self._masks[secret] = _mask(secret)
                self._order()

    def forget(self, secret: str) -> None:
        """Stop masking a text once it was forgotten as often as added: every mask costs time."""
        with self._lock:
            self._known[secret] -= 1
            if self._known[secret] <= 0:
                del self._known[secret]
                self._masks.pop(secret, None)
                self._order()

    def _order(self) -> None:
        # The longest first, for one secret may be part of another.
        self._secrets = [self._masks[secret] for secret in sorted(self._masks, key=len, reverse=True)]

    def mask(self, text: str) -> str:
        """Return `text` without the known secrets, and otherwise as it is."""
        for masked in self._secrets:
            text = masked(text)
        return text

    def __call__(self, text: str, *, limit: int = 300) -> str:
        """Return `text` on one line, without secrets, cut at `limit` characters."""
        text = self.mask(text)
        text = " ".join(_SIGNATURE.sub(rf"\1{MASK}", _SIGNED_QUERY.sub(rf"\1{MASK}", text)).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    """Return `text` with escapes for what does not print: control characters could rewrite a terminal's lines."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\xa0" else one.encode("unicode_escape").decode() for one in text)


def whole(text: str) -> str:
    """Return `text` without lone surrogates: a quoted value may have one, but a file cannot."""
    return text.encode(errors="replace").decode()


def shortened(text: str, most: int) -> str:
    """Return a text cut behind a word, with an ellipsis, if it is longer."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    return f"{head.rpartition(' ')[0] or head}…"


def _mask(secret: str) -> Mask:
    """Return what masks a secret in a text."""
    literal = re.escape(secret)
    if f" {secret.lower()} " in _WORDS or (secret.isdecimal() and len(secret) < _SHORT):
        # To mask it everywhere would eat the words of messages, and show what it is: so only where a value stands.
        pattern = rf"(?m:^{literal}$)|(?:(?<=[=:\"'@])|(?<=Bearer )|(?<=Basic )){literal}(?!\w)"
    elif len(secret) < _SHORT:
        pattern = rf"(?<!\w){literal}(?!\w)"
    else:
        # Most are long, and to compile a pattern for each takes longer than to mask all messages of a run.
        return lambda text: text.replace(secret, MASK)
    return functools.partial(re.compile(pattern).sub, MASK)
