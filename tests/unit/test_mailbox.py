"""Addresses: what is let through, what is refused, and that nothing in a name becomes another header or address."""

import email
import email.policy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.mailbox import Mailbox, header_text, parse_mailbox

LINE_SAFE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=120)


def read_header(name: str, value: str) -> Any:
    message = email.message_from_bytes(f"{name}: {value}\r\nX-End: 1\r\n\r\n".encode("ascii"), policy=email.policy.default)
    assert message.keys() == [name, "X-End"]
    return message[name]


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ann@example.org", Mailbox("ann@example.org")),
        (" Ann Lee <ann@example.org> ", Mailbox("ann@example.org", "Ann Lee")),
        ('"Lee, \\"Ann\\"" <ann@example.org>', Mailbox("ann@example.org", 'Lee, "Ann"')),
        ("root@localhost", Mailbox("root@localhost")),
        ("a+b.c@mail-1.example.org", Mailbox("a+b.c@mail-1.example.org")),
        ("Zoë <zoe@bücher.example>", Mailbox("zoe@xn--bcher-kva.example", "Zoë")),
    ],
)
def test_addresses_as_people_write_them(text: str, mailbox: Mailbox) -> None:
    """Bare and named addresses are read; a domain in another script becomes ASCII."""
    assert parse_mailbox(text) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "a@x.org, b@x.org",
        "a@x.org, B <b@x.org>",
        "Friends: a@x.org;",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\n",
        "ann@example.org\0",
        "Ann\u2028 <ann@example.org>",
        "<ann@example.org> SIZE=1",
        "ann lee@example.org",
        '"ann lee"@example.org',
        "ann..lee@example.org",
        "ann@example..org",
        "ann@-example.org",
        "ann@example.org>",
        "ann(comment)@example.org",
        "änn@example.org",
        "a" * 65 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "ann@[127.0.0.1]",
        f"{'x' * 600} <ann@example.org>",
    ],
)
def test_what_is_not_exactly_one_address_is_refused(text: str) -> None:
    """Lists, groups, comments, control characters and half addresses all meet a ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        parse_mailbox(text)


@given(LINE_SAFE)
@example(" blanks around ")
@example("=?utf-8?q?looks_encoded?=")
@example("long " * 30)
def test_any_line_of_text_arrives_as_it_was(text: str) -> None:
    """A header in any script, with blanks anywhere or looking like an encoded word, is read as it was given."""
    assert read_header("Subject", header_text(text)) == text


@given(LINE_SAFE)
def test_a_name_never_becomes_an_address(name: str) -> None:
    """Whatever the name, the reader finds one address, and it is the one behind the name."""
    header = read_header("To", Mailbox("ann@example.org", name).header())
    assert [address.addr_spec for address in header.addresses] == ["ann@example.org"]


@pytest.mark.parametrize("name", ["=?utf-8?q?eve=40example.org=2C?=", 'x" <eve@example.org>, "y', "a, b@c", "\\"])
def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    """Encoded words, quotes and commas in a name are text to the reader, too."""
    header = read_header("To", Mailbox("ann@example.org", name).header())
    assert [(address.display_name, address.addr_spec) for address in header.addresses] == [(name, "ann@example.org")]
