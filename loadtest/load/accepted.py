"""The ids of accepted jobs, every one of them, in 17 bytes each: a million is 17 MB, where a set of strings would have 150."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

BUCKETS = 64
LOW = (1 << 64) - 1
UNSEEN = 0  # marks: not seen yet, or the index of a status in STATUSES
STATUSES = ("", "COMPLETED", "FAILED", "CANCELLED", "PENDING", "PROCESSING", "RETRYING", "SCHEDULED")
FIRST_OPEN = 4  # from here on a job is not over
_MARKS = {status: mark for mark, status in enumerate(STATUSES)}


class _Bucket:
    """Ids whose random part begins alike, as two halves of 64 bits."""

    def __init__(self) -> None:
        self.high = array("Q")
        self.low = array("Q")
        self.marks = bytearray()

    def sort(self) -> int:
        """Order the ids and drop those that are there twice; return how many those were."""
        known = sorted(set(zip(self.low, self.high, strict=True)))
        twice = len(self.low) - len(known)
        self.low, self.high = array("Q", (low for low, _ in known)), array("Q", (high for _, high in known))
        self.marks = bytearray(len(known))
        return twice

    def find(self, low: int, high: int) -> int:
        """Return where the id is, -1 when it is not there."""
        at = bisect_left(self.low, low)
        while at < len(self.low) and self.low[at] == low:
            if self.high[at] == high:
                return at
            at += 1
        return -1


class Accepted:
    """First `add`, then `seal`, then `mark`."""

    def __init__(self) -> None:
        self.count = 0
        self.duplicate_count = 0  # ids that were given out twice; known after `seal`
        self._buckets = [_Bucket() for _ in range(BUCKETS)]

    def add(self, job_id: bytes | str) -> None:
        """Remember an id (36 characters). Raises ValueError when it is none."""
        low, high = _halves(job_id)
        bucket = self._buckets[low >> 56 & BUCKETS - 1]  # random bits, below the two of the variant
        bucket.low.append(low)
        bucket.high.append(high)
        self.count += 1

    def seal(self) -> None:
        """All have been added: sort them. One bucket at a time, so that it takes little memory."""
        self.duplicate_count = sum(bucket.sort() for bucket in self._buckets)
        self.count -= self.duplicate_count

    def mark(self, job_id: str, status: str) -> bool:
        """Note the status of a job; return whether it is one of ours and was not over when it was seen before."""
        low, high = _halves(job_id)
        bucket = self._buckets[low >> 56 & BUCKETS - 1]
        at = bucket.find(low, high)
        if at < 0 or UNSEEN < bucket.marks[at] < FIRST_OPEN:
            return False
        bucket.marks[at] = _MARKS[status]
        return True

    def statuses(self) -> Counter[str]:
        """Return how many are in which state; "" counts those that were never seen."""
        found = Counter({STATUSES[mark]: sum(bucket.marks.count(mark) for bucket in self._buckets) for mark in range(len(STATUSES))})
        return +found

    def unfinished(self) -> Iterator[str]:
        """Yield the ids that were seen and not over, in no order."""
        yield from self._marked(range(FIRST_OPEN, len(STATUSES)))

    def unseen(self) -> Iterator[str]:
        """Yield the ids that no answer has shown, in no order."""
        yield from self._marked((UNSEEN,))

    def oldest(self, *, unfinished_only: bool) -> str:
        """Return the smallest id, which is the oldest; "" without any."""
        ids = self.unfinished() if unfinished_only else self._marked(range(len(STATUSES)))
        return min(ids, default="")

    def _marked(self, marks: range | tuple[int, ...]) -> Iterator[str]:
        for bucket in self._buckets:
            for at, mark in enumerate(bucket.marks):
                if mark in marks:
                    yield _text(bucket.low[at], bucket.high[at])


def _halves(job_id: bytes | str) -> tuple[int, int]:
    if len(job_id) != 36:
        raise ValueError(f"no id: {job_id!r}")
    value = int(job_id.replace(b"-", b"") if isinstance(job_id, bytes) else job_id.replace("-", ""), 16)
    return value & LOW, value >> 64


def _text(low: int, high: int) -> str:
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
