"""The curves that `make growth` measures, one a file."""

from loadtest.growth.queued import QUEUED
from loadtest.growth.rows import ROWS

CURVES = {curve.name: curve for curve in (QUEUED, ROWS)}
