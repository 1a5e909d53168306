"""What a floor prints."""

import sys
import time
from dataclasses import asdict, dataclass, field

import orjson


@dataclass
class Result:
    """Counts from its creation on, with `done`; the first batch is warm-up of connections and plans, and counts for nothing but `count`."""

    count: int = 0
    timed: int = 0  # of them, those after the first batch
    batches: int = 0
    seconds: float = 0.0  # from the end of the first batch to the end of the last
    cpu_seconds: float = 0.0  # of this process, in that time
    _began: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def done(self, count: int) -> None:
        """Count a batch that has ended."""
        self.count += count
        self.batches += 1
        now = time.perf_counter(), time.process_time()
        if self.batches == 1:
            self._began = now
        else:
            self.timed += count
            self.seconds, self.cpu_seconds = now[0] - self._began[0], now[1] - self._began[1]

    @property
    def rate(self) -> float:
        """Timed ones a second; 0 after a single batch."""
        return self.timed / self.seconds if self.seconds else 0.0

    def print(self) -> None:
        """Write it to standard output as JSON, with the rate of the timed ones."""
        told = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        sys.stdout.buffer.write(orjson.dumps(told | {"rate": self.rate}))
