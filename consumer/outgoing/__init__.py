"""Outgoing HTTP to addresses that somebody else chose: one guard for all of it. See docs/outgoing.md."""

from consumer.outgoing.errors import FetchError, ForbiddenAddressError, InvalidRequestError, OutgoingError, TooLargeError
from consumer.outgoing.outgoing import Fetched, Outgoing, fetch_blocking

__all__ = [
    "FetchError",
    "Fetched",
    "ForbiddenAddressError",
    "InvalidRequestError",
    "Outgoing",
    "OutgoingError",
    "TooLargeError",
    "fetch_blocking",
]
