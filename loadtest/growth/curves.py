"""The curves that `make growth` measures, one a file."""

from loadtest.growth.consumers import CONSUMERS
from loadtest.growth.payloads import PAYLOADS
from loadtest.growth.queued import QUEUED
from loadtest.growth.retention import RETENTION
from loadtest.growth.rows import ROWS

CURVES = {curve.name: curve for curve in (QUEUED, ROWS, CONSUMERS, PAYLOADS, RETENTION)}
