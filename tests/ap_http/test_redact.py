"""Secrets stay inside."""

from __future__ import annotations

from ap_http.redact import Redactor


def test_known_secrets_and_signed_links_are_masked() -> None:
    redact = Redactor(["abc", "abcdef", ""])
    said = redact('key abcdef, abc; get https://host/p/a?X-Amz-Signature=1&b=2 and "http://h/x?y" done')
    assert said == 'key ***, ***; get https://host/p/a?*** and "http://h/x?***" done'


def test_a_short_secret_is_masked_as_a_word_and_a_long_one_anywhere() -> None:
    redact = Redactor(["k", "0123456789"])
    assert redact("network key=k; 'k' a0123456789b") == "network key=***; '***' a***b"


def test_the_result_is_one_short_line() -> None:
    assert Redactor()("a\n\tb   c") == "a b c"
    assert len(Redactor()("x" * 5000)) == 300
    assert Redactor(["secret"])("x" * 297 + "secret") == "x" * 297 + "***"
