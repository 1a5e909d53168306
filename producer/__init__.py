"""The HTTP API: validate, commit, publish; queries."""
