"""The files of a dynamic model as the service sees them: on their way, there, or not to be had."""
import contextlib
import os
import threading
import time

from waybill_service.answers import log
from waybill_service.fetch.download import Download
from waybill_service.fetch.failure import Failure, Unfetched, log_fault
from waybill_service.fetch.place import Place
from waybill_service.fetch.progress import Progress, shown_bytes
from waybill_service.fetch.settings import read_fetch_settings
from waybill_service.fetch.sources import make_sources
from waybill_service.fetch.web import make_context

LOG_SECONDS = 3
ROUND_WAIT_MOST = 60  # seconds until all is tried again
LOCK_SECONDS = 0.5


class ModelFiles:
    """fetch() in a thread of its own; the rest from any."""

    def __init__(self, listing, directory):
        self.listing, self.place = listing, Place(directory)
        self.progress = Progress(len(listing.files), sum(file.size for file in listing.files))
        self.began = time.monotonic()
        self._failure, self._failed_at, self._next_round = None, 0, 0
        self._waits = False  # for another service

    # -- what it says --

    def _is_failed(self):
        """Until the first byte of a further round."""
        return self._failure is not None and self.progress.fetched == self._failed_at

    def status(self):
        return "failed" if self._is_failed() else "loading"

    def reason(self):
        if self._is_failed():
            again = ""
            if self._failure.again:
                left = max(self._next_round - time.monotonic(), 0)
                again = "; tried again in %d s" % (left + 1) if left else "; being tried again"
            return "the model could not be fetched: %s%s" % (self._failure, again)
        if self._waits:
            return "another service is fetching the model into %s" % self.place.directory
        return "the model is being fetched: " + self._how_far()

    def retry_after(self):
        """Seconds for clients; None: it will not get better."""
        if not self._is_failed():
            return min(max(int(self.progress.seconds_left() or 1), 1), 60)
        return max(int(self._next_round - time.monotonic()), 1) if self._failure.again else None

    def _how_far(self):
        p = self.progress
        return "%d of %d files, %s of %s, %s/s" % (
            p.files_done, p.files, shown_bytes(p.bytes_done), shown_bytes(p.bytes),
            shown_bytes(p.rate()))

    # -- what it does --

    def fetch(self):
        """Whether all files are there; else reason() says why they will not be."""
        done = threading.Event()
        threading.Thread(target=self._log_progress, args=(done,), name="progress",
                         daemon=True).start()
        try:
            with self._locked():
                return self._fetch()
        except Failure as error:
            self._note_failure(error)
            return False
        except Exception as error:  # a fault of ours, or of the disk
            self._note_failure(Unfetched(log_fault(error), False))
            return False
        finally:
            done.set()

    @contextlib.contextmanager
    def _locked(self):
        self.place.make()
        # The whole of it, once: a further service waits, and then finds the files.
        while (descriptor := self.place.lock()) is None:
            self._waits = True
            time.sleep(LOCK_SECONDS)
        self._waits = False
        try:
            yield
        finally:
            os.close(descriptor)

    def _fetch(self):
        settings = read_fetch_settings()
        sources = make_sources(settings, self.listing.repository)
        download = Download(self.listing, self.place, sources, settings.connections,
                            make_context(settings.ca_file), self.progress)
        self.place.sweep(self.listing.files)
        log("fetching the model: %d files, %d bytes, from %s", self.progress.files,
            self.progress.bytes, ", ".join(source.name for source in sources) or "nowhere")
        wait = 1
        while True:
            before = self.progress.fetched
            try:
                download.run()
                break
            except Failure as error:
                wait = 1 if self.progress.fetched > before else wait
                self._note_failure(error, wait)
                if not error.again:
                    return False
            time.sleep(wait)
            wait = min(wait * 2, ROUND_WAIT_MOST)
        self.place.sweep(self.listing.files, done=True)
        log("fetched the model: %d files, %d bytes, %d of them now, in %.1f s", self.progress.files,
            self.progress.bytes, self.progress.fetched, time.monotonic() - self.began)
        return True

    def _note_failure(self, error, wait=0):
        self._failed_at, self._next_round = self.progress.fetched, time.monotonic() + wait
        self._failure = error
        if error.again:
            log("the model could not be fetched: %s; tried again in %d s", error, wait)

    def _log_progress(self, done):
        while not done.wait(LOG_SECONDS):
            if not self._is_failed():
                log("%s", self.reason())
