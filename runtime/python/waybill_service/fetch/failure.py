"""Why a file could not be fetched. The texts name the file or the source, and never a secret."""
import os
import traceback

from waybill_service.answers import log


def log_fault(error):
    """`ValueError (client.py:1248)`, with its way there in the log. Never its text: that of
    http.client's exceptions has headers and addresses in it, and so logins and signatures."""
    log("%s:\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "%s (%s:%d)" % (type(error).__name__, os.path.basename(last.filename), last.lineno)


class Failure(Exception):
    """again: it may go well later, without anybody doing anything in the container. whole: the
    source gives none of the other files, either."""

    again = whole = False


class Refused(Failure):
    """A source does not have the file, or does not give it."""

    def __init__(self, message, whole=False):
        super().__init__(message)
        self.whole = whole


class Trouble(Failure):
    """Of a source, for now. wait: seconds that it asks for, or None."""

    again = True

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


class NoRoom(Failure):
    again = True


class Unfetched(Failure):
    """No source gave the file."""

    def __init__(self, message, again):
        super().__init__(message)
        self.again = again


class Halted(Exception):
    """Another file has failed: this one's work ends, and what is on the disk stays."""
