"""A mail address as a person writes it, checked strictly and made safe for headers.

The standard library's header objects are not used on the way out: they decode encoded words in what they are given, so
that a display name could smuggle in a second address, and they lose spaces where they fold.
"""

import re
from dataclasses import dataclass
from email.header import Header
from email.utils import quote

__all__ = ["UNSAFE_IN_HEADER", "Mailbox", "header_text", "parse_mailbox"]

MAX_CHARACTERS = 512
# What ends a line for one reader of headers or another, and the other controls but the tab.
UNSAFE_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_CHARACTERS = 60  # a shorter text needs no folding, whichever header it stands in

_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<plain>[^"<>@,;:\\()]*))<(?P<address>[^<>]+)>')
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}\Z){_WORD}(?:\.{_WORD})*")
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True)
class Mailbox:
    """One address, ASCII only, with the name to show."""

    address: str
    name: str = ""

    def header(self) -> str:
        """How it stands in From, To or Cc, without the header's name; a long name is folded."""
        if not self.name:
            return self.address
        shown = f'"{quote(self.name)}"' if _is_plain(self.name) else header_text(self.name)
        return f"{shown} <{self.address}>"


def parse_mailbox(text: str) -> Mailbox:
    """Read `ann@example.org` or `Ann <ann@example.org>`. Raises ValueError with the reason for anything else."""
    if UNSAFE_IN_HEADER.search(text) or len(text) > MAX_CHARACTERS:
        raise ValueError(f"{text[:80]!r} is too long or holds a line break or a control character")
    named = _NAMED.fullmatch(text.strip())
    if named is None:
        return Mailbox(_address(text.strip()))
    quoted = named["quoted"]
    name = named["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return Mailbox(_address(named["address"].strip()), name.strip())


def header_text(text: str) -> str:
    """Return unstructured text as a header's value: as it is when that is safe, else in encoded words, folded."""
    return text if _is_plain(text) else Header(text, "utf-8").encode(linesep="\r\n")


def _is_plain(text: str) -> bool:
    # "=?" would be decoded by the reader, and blanks at the ends would be lost.
    is_short = len(text) <= _PLAIN_CHARACTERS
    return is_short and text.isascii() and text.isprintable() and "=?" not in text and text == text.strip()


def _address(text: str) -> str:
    local_part, _, domain = text.rpartition("@")
    if not domain.isascii():
        domain = domain.encode("idna").decode()  # UnicodeError is a ValueError
    if not (_LOCAL_PART.fullmatch(local_part) and _DOMAIN.fullmatch(domain)):
        raise ValueError(f"{text!r} is no mail address (one, in ASCII before the @)")
    return f"{local_part}@{domain}"
