"""Settings: every problem at once, nothing secret shown, nothing misspelt unnoticed."""

import pytest

from shared.errors import ConfigError
from shared.settings import load, strangers


def test_every_bad_value_is_named_at_once() -> None:
    """Three mistakes give three sentences, in one go."""
    with pytest.raises(ConfigError) as caught:
        load({"MILLSTREAM_PORT": "none", "MILLSTREAM_CONCURRENCY": "0", "MILLSTREAM_HEARTBEAT_SECONDS": "9"})
    assert [problem.split("=")[0].split(":")[0] for problem in caught.value.problems] == [
        "MILLSTREAM_PORT",
        "MILLSTREAM_CONCURRENCY",
        "MILLSTREAM_HEARTBEAT_SECONDS",
    ]


def test_passwords_are_not_repeated() -> None:
    """A URL of the wrong kind is refused without being shown."""
    with pytest.raises(ConfigError) as caught:
        load({"DATABASE_URL": "mysql://user:secret@host/x"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104 - refused, which is the point
def test_a_public_address_wants_a_key(host: str) -> None:
    """Anyone who reaches it could submit jobs."""
    with pytest.raises(ConfigError):
        load({"MILLSTREAM_HOST": host})
    assert load({"MILLSTREAM_HOST": host, "MILLSTREAM_API_KEYS": "k"}).api_keys == ("k",)
    assert load({"MILLSTREAM_HOST": host, "MILLSTREAM_INSECURE": "1"}).insecure


def test_what_looks_like_a_setting_and_is_none_is_named() -> None:
    """Typing errors would otherwise do nothing, in silence."""
    assert strangers({"MILLSTREAM_CONCURENCY": "5", "MILLSTREAM_PORT": "1", "PATH": "/"}) == ["MILLSTREAM_CONCURENCY"]
