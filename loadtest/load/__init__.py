"""The load test that users run against a running millstream: `python -m loadtest`. It speaks only HTTP."""
