"""Secrets stay inside."""

from __future__ import annotations

import html
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from ap_connectors.core.redact import Redactor


def test_known_secrets_and_signed_links_are_masked() -> None:
    redact = Redactor(["abc", "abcdef", ""])
    said = redact('key abcdef, abc; get https://host/p/a?X-Amz-Signature=1&b=2 and "http://h/x?y" done')
    assert said == 'key ***, ***; get https://host/p/a?*** and "http://h/x?***" done'


LINK = "https://b.s3.eu-west-1.amazonaws.com/p/a.pdf?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=geheim&b=2"


@pytest.mark.parametrize(
    "quoted",
    [
        LINK,
        LINK.upper(),
        quote(LINK),
        quote(LINK, safe=""),
        quote(quote(LINK, safe=""), safe=""),
        json.dumps(LINK).replace("/", "\\/"),
        json.dumps({"a": json.dumps(LINK)}),
        LINK.replace("&", "\\u0026").replace("?", "\\u003f").replace("=", "\\u003D"),
        html.escape(LINK),
        html.escape(html.escape(LINK)),
        LINK.replace("?", "&#63;").replace("=", "&#x3D;"),
        "/p/a.pdf?X-Amz-Signature=geheim&b=2",
        quote("X-Goog-Signature=geheim", safe=""),
        "AWSAccessKeyId=geheim",
        "se=2026-01-01&sig=geheim",
        "s3://bucket/a.pdf?versionId=geheim",
    ],
)
def test_signatures_are_masked_in_any_encoding(quoted: str) -> None:
    said = Redactor()(f"The link {quoted} has expired: is it the right one?")
    assert "geheim" not in said.lower()
    assert said.endswith("has expired: is it the right one?")


def test_a_short_secret_is_masked_as_a_word_and_a_long_one_anywhere() -> None:
    redact = Redactor(["k", "0123456789"])
    assert redact("network key=k; 'k' a0123456789b") == "network key=***; '***' a***b"


@pytest.mark.parametrize("secret", ["records", "set", "a", "7", "0042", "Records"])
def test_a_common_word_is_masked_where_a_value_stands(secret: str) -> None:
    """Otherwise it would be missing in every message, which shows what it is."""
    redact = Redactor([secret])
    sentence = f"7 records were set aside in line 0042 of a file; {secret} again. Set Records: {secret}."
    assert redact(sentence) == sentence
    assert redact(secret) == "***"
    assert redact.mask(f"one\n{secret}\ntwo") == "one\n***\ntwo"
    assert redact(f"key={secret}&x, 'x-api-key': '{secret}'") == "key=***&x, 'x-api-key': '***'"
    assert (
        redact(f'{{"secret":"{secret}"}} user:{secret}@host Bearer {secret}')
        == '{"secret":"***"} user:***@host Bearer ***'
    )


@pytest.mark.parametrize("secret", ["ab1", "q7", "123456", "recordsx", "s3cret", "žodis"])
def test_what_is_not_a_common_word_is_masked_everywhere(secret: str) -> None:
    assert secret not in Redactor([secret])(f"the key {secret} is refused; {secret}, {secret}.")


def test_the_result_is_one_short_line() -> None:
    assert Redactor()("a\n\tb   c") == "a b c"
    assert len(Redactor()("x" * 5000)) == 300
    assert Redactor(["secret"])("x" * 297 + "secret") == "x" * 297 + "***"


def test_a_secret_that_is_learned_later_is_masked_from_then_on() -> None:
    redact = Redactor(["client-secret"])
    assert redact("token-1 client-secret") == "token-1 ***"
    redact.add("token-1")
    redact.add("token-1.longer")
    redact.add("")
    assert redact("token-1 token-1.longer client-secret, all") == "*** *** ***, all"


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    redact = Redactor()
    redact.add("y" * 600)
    assert redact("x" * 100 + " " + "y" * 600 + " end") == "x" * 100 + " *** end"


def test_many_threads_may_add_while_others_write() -> None:
    """A secret that was added is never shown again."""
    redact = Redactor()

    def learn(n: int) -> list[str]:
        said = []
        for m in range(20):
            redact.add(f"token-{n}-{m}-end")
            said.append(redact(f"token-{n}-{m}-end"))
        return said

    with ThreadPoolExecutor(8) as threads:
        assert {text for said in threads.map(learn, range(8)) for text in said} == {"***"}


def test_a_secret_is_masked_until_everybody_who_added_it_has_forgotten_it() -> None:
    redact = Redactor(["lasting-one"])
    for _ in range(2):
        redact.add("passing-one")
    redact.forget("passing-one")
    assert redact("passing-one lasting-one") == "*** ***"
    redact.forget("passing-one")
    redact.forget("passing-one")
    redact.forget("never-added")
    assert redact("passing-one lasting-one never-added") == "passing-one *** never-added"
