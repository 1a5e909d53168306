"""Why an outgoing request did not happen, or came to no answer.

OutgoingError
├── ForbiddenAddressError   it may not go there: scheme, port, host or address (permanent)
├── InvalidRequestError     its method or a header is none (permanent)
├── TooLargeError           the answer has more bytes than wanted (permanent)
└── FetchError              no answer: DNS, refused, reset, timeout, nonsense instead of HTTP; may be tried again

A handler need not catch them: the permanent ones are PermanentFailures, the other one is an ordinary failure. Their
messages name scheme, host and port; never path, query or credentials of a URL, which often are secrets.
"""

from shared.errors import MillstreamError, PermanentFailure

__all__ = ["FetchError", "ForbiddenAddressError", "InvalidRequestError", "OutgoingError", "TooLargeError"]


class OutgoingError(MillstreamError):
    """Base of them all."""


class ForbiddenAddressError(OutgoingError, PermanentFailure):
    """The request, or a redirect, names a place that outgoing traffic must not reach."""


class InvalidRequestError(OutgoingError, PermanentFailure):
    """The method or a header cannot be sent, or would smuggle another header in."""


class TooLargeError(OutgoingError, PermanentFailure):
    """The answer's body, decompressed, exceeds `max_bytes`."""

    status = 0  # of the answer, once it is known


class FetchError(OutgoingError):
    """There was no answer, or not all of it."""
