"""Real PostgreSQL and Valkey servers from wheels, started by an own launcher."""

from shared.embedded.postgres import Postgres
from shared.embedded.valkey import Valkey

__all__ = ["Postgres", "Valkey"]
