"""What a run cannot go on with."""


class ChaosError(Exception):
    """The service under test does not come up, or refuses the jobs that it was to be tried with. Its text is for a person."""
