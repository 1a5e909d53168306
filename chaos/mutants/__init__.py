"""millstream made wrong on purpose, one mistake at a time: a checker that does not catch each of them is worth nothing."""
