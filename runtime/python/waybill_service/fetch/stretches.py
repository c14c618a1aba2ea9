"""Which bytes of a file are there: stretches [begin, end), sorted and apart from each other."""
import bisect


class Stretches:
    def __init__(self):
        self._begins, self._ends = [], []
        self.bytes = 0

    def add(self, begin, end):
        """How many of these bytes are new."""
        if begin >= end:
            return 0
        before = self.bytes
        first = bisect.bisect_left(self._ends, begin)  # that touches or overlaps it
        last = bisect.bisect_right(self._begins, end)
        self.bytes -= sum(self._ends[i] - self._begins[i] for i in range(first, last))
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last], self._ends[first:last] = [begin], [end]
        self.bytes += end - begin
        return self.bytes - before

    def prefix(self):
        """The bytes from the beginning on that are there without a gap."""
        return self._ends[0] if self._begins and self._begins[0] == 0 else 0

    def missing(self, begin, end):
        """[(begin, end)] of what these bytes lack."""
        return [(max(begin, at), to) for at, to in self.gaps(end) if to > begin]

    def gaps(self, size):
        """[(begin, end)] of a file of that size."""
        ends = [0] + self._ends
        begins = [min(begin, size) for begin in self._begins + [size]]
        return [(end, begin) for end, begin in zip(ends, begins) if end < begin]
