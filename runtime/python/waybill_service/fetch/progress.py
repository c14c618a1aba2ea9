"""How far it is, for /health and the log."""
import collections
import threading
import time

WINDOW_SECONDS = 10  # of the rate
SAMPLE_SECONDS = 0.25


class Progress:
    def __init__(self, files, size):
        self.files, self.bytes = files, size
        self.files_done = self.bytes_done = 0
        self.fetched = 0  # of the bytes, by this process
        self._lock = threading.Lock()
        self._samples = collections.deque([(time.monotonic(), 0)])

    def found(self, count):
        """Bytes that were there already; negative: they turned out to be the wrong ones."""
        with self._lock:
            self.bytes_done += count

    def add(self, count):
        now = time.monotonic()
        with self._lock:
            self.bytes_done += count
            self.fetched += count
            if now - self._samples[-1][0] >= SAMPLE_SECONDS:
                self._samples.append((now, self.fetched))
            self._forget(now)

    def add_file(self):
        with self._lock:
            self.files_done += 1

    def _forget(self, now):
        while len(self._samples) > 1 and self._samples[1][0] < now - WINDOW_SECONDS:
            self._samples.popleft()

    def rate(self):
        """Bytes per second, lately."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            began, fetched = self._samples[0]
            return int((self.fetched - fetched) / max(now - began, SAMPLE_SECONDS))

    def seconds_left(self):
        """None: nobody knows."""
        rate = self.rate()
        return (self.bytes - self.bytes_done) / rate if rate else None

    def fields(self):
        return {"files": self.files, "files_done": self.files_done, "bytes": self.bytes,
                "bytes_done": self.bytes_done, "rate": self.rate()}


def shown_bytes(count):
    """`12.3 MiB`"""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            break
        count /= 1024
    else:
        unit = "TiB"
    return "%d bytes" % count if unit == "bytes" else "%.1f %s" % (count, unit)
