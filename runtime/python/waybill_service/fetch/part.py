"""A file on its way: .waybill-part-HEX beside its place, and a journal of which bytes are there.

The journal, .waybill-part-HEX.journal, has a line `BEGIN END` for each stretch, written after the
stretch itself: whatever kills the service, a further one goes on from there. What a power failure
makes of them the digest finds out. It follows the file while it is fetched, so that little is left
to be read at the end.
"""
import contextlib
import hashlib
import os
import re
import threading

from waybill_service.fetch.listing import PART_PREFIX
from waybill_service.fetch.place import CHUNK, split
from waybill_service.fetch.stretches import Stretches

JOURNAL = ".journal"
HASH_STEP = 4 * CHUNK
NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LINE = re.compile(rb"(\d{1,19}) (\d{1,19})\n")


class Part:
    def __init__(self, place, file, sources):
        self.place, self.file, self.sources = place, file, sources
        self.used = []  # of the sources: those that gave bytes of this attempt
        self.wrong = set()  # those that gave bytes of one whose digest was wrong: asked last
        self.attempts, self.pending = 1, 0
        self.whole = threading.Lock()  # held by the one thread that reads it as a single stream
        self.name = PART_PREFIX + file.hex
        self._lock, self._hashing = threading.Lock(), threading.Lock()
        self._stretches, self._hash, self._hashed = Stretches(), hashlib.sha256(), 0
        self._open = []
        try:
            self.folder = self._keep(place.open_folder(split(file.path)[0], make=True))
            self.data = self._keep(os.open(self.name, NEW, 0o644, dir_fd=self.folder))
            self.journal = self._keep(os.open(self.name + JOURNAL, NEW | os.O_APPEND, 0o644,
                                              dir_fd=self.folder))
            self._resume()
        except OSError as error:
            self.close()
            raise self._failure(error) from None

    def _keep(self, descriptor):
        self._open.append(descriptor)
        return descriptor

    def close(self):
        while self._open:
            os.close(self._open.pop())

    def _failure(self, error):
        return self.place.failure(error, self.file.path, self.file.size - self.present())

    def _resume(self):
        size = os.fstat(self.data).st_size
        text = b""
        while data := os.read(self.journal, CHUNK):
            text += data
        for begin, end in _LINE.findall(text):
            if int(end) <= min(size, self.file.size):
                self._stretches.add(int(begin), int(end))
        if text and not text.endswith(b"\n"):
            os.write(self.journal, b"\n")

    # -- what is there --

    def present(self):
        with self._lock:
            return self._stretches.bytes

    def prefix(self):
        with self._lock:
            return self._stretches.prefix()

    def gaps(self):
        with self._lock:
            return self._stretches.gaps(self.file.size)

    def write(self, data, offset):
        """But for the bytes that are noted: the digest may have passed them, and what is published
        has to be what it was made of."""
        view = memoryview(data)
        try:
            with self._lock:
                for begin, end in self._stretches.missing(offset, offset + len(data)):
                    while begin < end:
                        begin += os.pwrite(self.data, view[begin - offset:end - offset], begin)
        except OSError as error:
            raise self._failure(error) from None

    def note_source(self, source):
        with self._lock:
            if source not in self.used:
                self.used.append(source)

    def note(self, begin, end):
        """These bytes are written. How many of them were not there before."""
        if begin >= end:
            return 0
        with self._lock:
            with contextlib.suppress(OSError):  # a full disk: they are fetched once more
                os.write(self.journal, b"%d %d\n" % (begin, end))
            return self._stretches.add(begin, end)

    # -- the digest --

    def _hash_to(self, end):
        while self._hashed < end:
            data = os.pread(self.data, min(CHUNK, end - self._hashed), self._hashed)
            if not data:
                return
            self._hash.update(data)
            self._hashed += len(data)

    def hash_on(self):
        """A step, where no other thread does it."""
        if self._hashing.acquire(blocking=False):
            try:
                self._hash_to(min(self.prefix(), self._hashed + HASH_STEP))
            except OSError as error:
                raise self._failure(error) from None
            finally:
                self._hashing.release()

    def digest(self):
        with self._hashing:
            try:
                os.ftruncate(self.data, self.file.size)
                self._hash_to(self.file.size)
            except OSError as error:
                raise self._failure(error) from None
            return "sha256:" + self._hash.hexdigest()

    # -- its end --

    def restart(self):
        """All of it is fetched again."""
        with self._hashing, self._lock:
            os.ftruncate(self.journal, 0)
            os.ftruncate(self.data, 0)
            self._stretches, self._hash, self._hashed = Stretches(), hashlib.sha256(), 0
            self.used = []

    def publish(self):
        """No fsync: the digest is checked whenever the service starts."""
        try:
            os.rename(self.name, split(self.file.path)[1], src_dir_fd=self.folder,
                      dst_dir_fd=self.folder)
        except OSError as error:
            raise self._failure(error) from None
        self._unlink(self.name + JOURNAL)

    def remove(self):
        self._unlink(self.name + JOURNAL)
        self._unlink(self.name)

    def _unlink(self, name):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.folder)


def copy_within(place, path, file):
    """Another file of the same digest, at its own place."""
    part, source = Part(place, file, []), place.open_file(path)
    try:
        os.ftruncate(part.journal, 0)
        at = 0
        while at < file.size:
            sent = os.sendfile(part.data, source, at, 8 * CHUNK)
            if not sent:
                raise OSError(5, "%s became shorter" % path)
            at += sent
        os.ftruncate(part.data, file.size)
        part.publish()
    except OSError as error:
        raise place.failure(error, file.path, file.size) from None
    finally:
        part.close()
        if source is not None:
            os.close(source)
