"""A few threads that run the inference code, and a short queue before them."""
import queue
import threading


class Pool:
    """submit(work) returns False when the queue is full. Threads are daemons: one that hangs in
    inference code does not keep the process from ending."""

    def __init__(self, threads, waiting):
        self.free = threading.BoundedSemaphore(threads + waiting)
        self.queue = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._run, name="inference-%d" % (number + 1),
                             daemon=True).start()

    def submit(self, work):
        if not self.free.acquire(blocking=False):
            return False
        self.queue.put(work)
        return True

    def _run(self):
        while True:
            work = self.queue.get()
            try:
                work()
            finally:
                self.free.release()
