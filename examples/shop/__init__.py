"""A shop that leaves its slow work to millstream."""
