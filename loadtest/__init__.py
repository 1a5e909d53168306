"""Load and the side-by-side benchmark: `python -m loadtest.bench`."""
