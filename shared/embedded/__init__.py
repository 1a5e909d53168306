"""Real PostgreSQL and Valkey servers from wheels, started by an own launcher."""
