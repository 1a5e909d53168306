"""The workers and the services that keep the promise."""
