"""What can go wrong while measuring."""


class MeasureError(Exception):
    """A figure could not be measured; the sentence says why. It is reported in the result, never hidden."""
