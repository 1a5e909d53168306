"""`python -m producer`: serve the HTTP API. Settings come from the environment."""

from producer.app import serve
from shared.process import run_service


def main() -> None:
    """Start a producer process."""
    run_service("producer", serve)


if __name__ == "__main__":
    main()
