"""The figures that `make bench` measures, one idea a file."""

from loadtest.figures.bulk import BULK
from loadtest.figures.drain import DRAIN1
from loadtest.figures.figure import Bench, Figure
from loadtest.figures.latency import LATENCY100
from loadtest.figures.memory import MEMORY
from loadtest.figures.submit import SUBMIT, SUBMIT2

__all__ = ["FIGURES", "Bench", "Figure"]

FIGURES = {figure.name: figure for figure in (SUBMIT, SUBMIT2, BULK, DRAIN1, LATENCY100, MEMORY)}
