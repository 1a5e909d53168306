"""Cost as work grows: what becomes of the speed when there is more queued, more stored, more to carry, more time behind it."""
