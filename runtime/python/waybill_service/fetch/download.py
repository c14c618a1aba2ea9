"""All files of a listing, over a few connections: each thread takes a piece of a file, and where
none waits the next file. Files with the same digest are fetched once."""
import collections
import functools
import random
import threading
import time

from waybill_service.answers import log
from waybill_service.fetch.failure import (Failure, Halted, NoRoom, Refused, Trouble, Unfetched,
                                           log_fault)
from waybill_service.fetch.part import Part, copy_within
from waybill_service.fetch.place import CHUNK
from waybill_service.fetch.web import Client

PIECE = 32 << 20
READ = 256 << 10  # at most, of a connection at once
NOTE_SECONDS = 0.5  # or CHUNK bytes: how much of the work a kill may cost
TRIES = 5  # without a byte, of one source
WAIT_LEAST, WAIT_MOST = 0.25, 8  # seconds between them
ATTEMPTS = 2  # at a file whose digest is wrong


class Piece:
    """Bytes of a file that are to be fetched; begin moves on with them."""

    def __init__(self, part, begin, end):
        self.part, self.begin, self.end = part, begin, end


def pieces_of(part):
    return [Piece(part, at, min(at + PIECE, end))
            for begin, end in part.gaps() for at in range(begin, end, PIECE)]


class Download:
    """run() as often as it takes: what is done stays done."""

    def __init__(self, listing, place, sources, connections, context, progress):
        self.place, self.sources, self.context = place, sources, context
        self.connections, self.progress = connections, progress
        self.groups = {}
        for file in listing.files:
            self.groups.setdefault(file.digest, []).append(file)
        self.lock = threading.Condition()
        self.counted = {}  # in progress: files there by path, bytes of those on their way by digest
        self.rests = {}  # of each source: until when it wants to be left alone
        self.no_ranges = set()  # the sources that answer with whole files
        self._begin_round()

    def _begin_round(self):
        self.failure, self.halt = None, threading.Event()
        self.pieces, self.waiting = collections.deque(), collections.deque(self.groups.values())
        self.working, self.parts, self.refused, self.clients = 0, set(), {}, []
        self.tired = set()  # the sources that gave nothing in spite of all tries: asked last

    def run(self):
        """Failure: why not all files are there."""
        self._begin_round()
        self._check_room()
        threads = [threading.Thread(target=self._work, name="fetch-%d" % number, daemon=True)
                   for number in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for part in list(self.parts):
            self._forget(part)
        if self.failure:
            raise self.failure

    def _check_room(self):
        """By what the files' sizes say, before anything is fetched."""
        missing = [file for group in self.groups.values() for file in group
                   if not self.place.has_size(file)]
        needed = sum(file.size - self.place.part_bytes(file) for file in missing)
        if needed and self.sources and needed > self.place.free():
            raise NoRoom("no space left for the model in %s: %d bytes are needed, %d are free; "
                         "give the container a larger disk or volume"
                         % (self.place.directory, needed, self.place.free()))

    # -- the threads --

    def _work(self):
        client = Client(self.context)
        self.clients.append(client)
        while task := self._next():
            try:
                task(client)
            except Halted:
                pass
            except Failure as error:
                self._fail(error)
            except Exception as error:  # a fault of ours
                self._fail(Unfetched("the service has a fault: " + log_fault(error), True))
            finally:
                with self.lock:
                    self.working -= 1
                    self.lock.notify_all()
        client.close()

    def _next(self):
        """Something to do; None: there will be nothing more."""
        with self.lock:
            while not self.failure:
                if self.pieces:
                    task = functools.partial(self._fetch, self.pieces.popleft())
                elif self.waiting:
                    task = functools.partial(self._begin, self.waiting.popleft())
                elif self.working:
                    self.lock.wait()
                    continue
                else:
                    return None
                self.working += 1
                return task
        return None

    def _fail(self, failure):
        with self.lock:
            self.failure = self.failure or failure
            self.halt.set()
            for client in self.clients:
                client.abort()

    def _check_halt(self):
        if self.halt.is_set():
            raise Halted

    def _pause(self, seconds):
        if self.halt.wait(seconds):
            raise Halted

    # -- one file, or several of the same digest --

    def _begin(self, group, client):
        held = [file for file in group if self._check_file(file)]
        if held:
            self._finish_group(group, held)
            return
        if not self.sources:
            raise Refused("%s is not in %s: set WAYBILL_MODEL_SOURCE to where the model's files "
                          "are: a directory, registry://HOST[:PORT] or s3://BUCKET/PREFIX"
                          % (group[0].path, self.place.directory))
        part = Part(self.place, group[0], self.sources)
        with self.lock:
            self.parts.add(part)
        self.progress.found(part.present() - self.counted.get(part.file.digest, 0))
        self._enqueue(part)

    def _check_file(self, file):
        """Whether it is there. What was read of it counts meanwhile."""
        counted, holds = 0, False

        def note(count):
            nonlocal counted
            self._check_halt()
            counted += count
            self.progress.found(count)
        try:
            holds = self.place.holds(file, note)
        finally:
            if not holds or file.path in self.counted:
                self.progress.found(-counted)
        if holds:
            self._count_file(file, 0)
        return holds

    def _enqueue(self, part):
        pieces = pieces_of(part)
        if not pieces:
            self._finish(part)
            return
        with self.lock:
            part.pending = len(pieces)
            self.pieces.extend(pieces)
            self.lock.notify_all()

    def _finish(self, part):
        file = part.file
        if part.gaps():  # of a stream that ended while others had left their pieces to it
            self._enqueue(part)
            return
        found = part.digest()
        if found != file.digest:
            self._again(part, found)
            return
        part.publish()
        self._forget(part)
        self._count_file(file, 0)
        self._finish_group(self.groups[file.digest], [file])

    def _finish_group(self, group, held):
        for file in group:
            if file not in held:
                copy_within(self.place, held[0].path, file)
                self._count_file(file, file.size)
        with self.lock:
            del self.groups[group[0].digest]

    def _again(self, part, found):
        """Once more, from the sources first that did not give these bytes."""
        self.progress.found(-part.present())
        file = part.file
        names = ", ".join(source.name for source in part.used) or "an earlier start"
        if part.attempts == ATTEMPTS:
            part.remove()
            part.restart()
            self._forget(part)
            raise Unfetched("%s, fetched from %s, has the digest %s, expected %s, twice; put the "
                            "right file there" % (file.path, names, found, file.digest), False)
        log("%s, fetched from %s, has the digest %s, expected %s: it is fetched again",
            file.path, names, found, file.digest)
        part.wrong.update(part.used)
        part.restart()
        part.attempts += 1
        self._enqueue(part)

    def _count_file(self, file, size):
        if file.path not in self.counted:
            self.counted[file.path] = True
            self.progress.found(size)
            self.progress.add_file()

    def _forget(self, part):
        self.counted[part.file.digest] = part.present()
        with self.lock:
            self.parts.discard(part)
        part.close()

    # -- one piece --

    def _fetch(self, piece, client):
        part, failures = piece.part, []
        for source in sorted(part.sources, key=lambda s: (s in part.wrong, s in self.tired)):
            try:
                self._check_refused(source)
                self._fetch_from(source, piece, client)
                break
            except (Refused, Trouble) as error:
                failures.append(error)
                if error.whole:
                    self.refused[source] = error
                elif isinstance(error, Trouble):
                    self.tired.add(source)
        else:
            raise Unfetched("%s could not be fetched: %s" % (
                part.file.path, "; ".join(map(str, failures))), any(e.again for e in failures))
        with self.lock:
            part.pending -= 1
            last = part.pending == 0
        if last:
            self._finish(part)

    def _check_refused(self, source):
        if source in self.refused:
            raise self.refused[source]

    def _fetch_from(self, source, piece, client):
        """Goes on where it broke, after waits that grow while not a byte comes."""
        tries = 0
        while piece.begin < piece.end:
            before = piece.part.present()
            self._pause(self.rests.get(source, 0) - time.monotonic())
            try:
                self._read(source, piece, client)
            except Trouble as error:
                tries = 1 if piece.part.present() > before else tries + 1
                if tries == TRIES:
                    raise
                self._wait(source, tries, error.wait)

    def _wait(self, source, tries, asked):
        if asked is not None:
            self.rests[source] = time.monotonic() + asked
        wait = min(WAIT_LEAST * 2 ** (tries - 1), WAIT_MOST)
        self._pause(max(asked or 0, 0) + wait * random.uniform(0.5, 1))

    def _read(self, source, piece, client):
        """One answer of the source. It may be the whole file, where it knows no ranges: then one
        thread reads that, and the others leave their pieces to it."""
        part = piece.part
        if source not in self.no_ranges:
            stream = self._open(source, client, piece)
            if stream.begin == piece.begin and stream.end <= piece.end:
                self._pour(stream, piece)
                return
            stream.close()
            self.no_ranges.add(source)
        if not part.whole.acquire(blocking=False):
            piece.begin = piece.end
            return
        try:
            rest = Piece(part, part.prefix(), part.file.size)
            if rest.begin >= piece.end:  # an earlier stream had it
                piece.begin = piece.end
                return
            try:
                self._pour(self._open(source, client, rest), rest)
            finally:
                piece.begin = max(piece.begin, min(rest.begin, piece.end))
        finally:
            part.whole.release()

    @staticmethod
    def _open(source, client, piece):
        stream = source.open(client, piece.part.file, piece.begin, piece.end)
        piece.part.note_source(source)
        return stream

    def _pour(self, stream, piece):
        """From the stream into the file, but for what comes before the piece's beginning."""
        at, noted, since = stream.begin, piece.begin, time.monotonic()
        try:
            while at < stream.end:
                self._check_halt()
                data = stream.read(min(READ, stream.end - at))
                if not data:
                    raise Trouble("%s ended too early" % piece.part.file.path)
                new = data[max(piece.begin - at, 0):]
                at += len(data)
                piece.part.write(new, at - len(new))
                piece.begin = max(piece.begin, at)
                if piece.begin - noted >= CHUNK or time.monotonic() - since > NOTE_SECONDS:
                    self._note(piece, noted)
                    noted, since = piece.begin, time.monotonic()
        finally:
            stream.close()
            self._note(piece, noted)

    def _note(self, piece, noted):
        self.progress.add(piece.part.note(noted, piece.begin))
        piece.part.hash_on()
