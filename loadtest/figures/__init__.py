"""The figures that `make bench` measures, one idea a file."""

from loadtest.figures.bulk import BULK
from loadtest.figures.drain import DRAIN1, DRAIN2
from loadtest.figures.figure import Bench, Figure
from loadtest.figures.floors import DRAIN_FLOOR, SUBMIT_FLOOR
from loadtest.figures.latency import LATENCY100, LATENCY1000
from loadtest.figures.memory import MEMORY
from loadtest.figures.submit import SUBMIT, SUBMIT1, SUBMIT2

__all__ = ["FIGURES", "Bench", "Figure"]

_ALL = (DRAIN1, DRAIN2, SUBMIT, BULK, LATENCY100, LATENCY1000, SUBMIT1, DRAIN_FLOOR, SUBMIT_FLOOR, SUBMIT2, MEMORY)
FIGURES = {figure.name: figure for figure in _ALL}
