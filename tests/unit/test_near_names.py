"""Did you mean: what is offered for a name that nobody knows."""

import pytest

from producer.near_names import near_names

KNOWN = ["csv.generate", "csv-generation", "email.send", "EMAIL", "EMAIL_SEND", "sendEmail", "welcome-email", "test.noop", "test.sleep"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("CSV.Generate", "csv.generate"),
        ("csv_generate", "csv.generate"),
        ("csvgenerate", "csv.generate"),
        ("csv.generat", "csv.generate"),
        ("Csv_Generation", "csv-generation"),
        ("WELCOME_EMAIL", "welcome-email"),
        ("send-email", "sendEmail"),
        ("Email-Send", "email.send"),
        ("test.nop", "test.noop"),
        ("email.sent", "email.send"),
        ("EMAIL-SENT", "EMAIL_SEND"),
    ],
)
def test_the_nearest_comes_first(wrong: str, meant: str) -> None:
    """Case and the marks between words do not count, a slip of the finger little."""
    assert near_names(wrong, KNOWN)[0] == meant


def test_what_is_like_nothing_gets_nothing() -> None:
    """Rather no hint than a wrong one; never more than three."""
    assert near_names("xyz", KNOWN) == []
    assert near_names("", KNOWN) == []
    assert near_names("._-", ["a", "_"]) == ["_"]
    assert len(near_names("email", ["email1", "email2", "email3", "email4"])) == 3
