"""The bytes [begin, end) of a file over HTTP (RFC 9110, section 14)."""
import re

from waybill_service.fetch.failure import Refused, Trouble

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\Z")
TROUBLE = (408, 425, 429)  # and 500 and above


def range_header(file, begin, end):
    return {} if (begin, end) == (0, file.size) else {"range": "bytes=%d-%d" % (begin, end - 1)}


class Stream:
    """What a server gives: bytes begin … end of the file. Not what was asked for, where it knows no
    ranges: then the whole file."""

    def __init__(self, begin, end, reply):
        self.begin, self.end, self.reply = begin, end, reply
        self.read, self.close = reply.read, reply.finish


def _partial(reply, file, begin, end, source):
    found = _CONTENT_RANGE.match(reply.header("Content-Range"))
    if not found or int(found[1]) != begin or not begin < int(found[2]) + 1 <= end:
        raise Trouble("%s answered other bytes of %s than were asked for: Content-Range is %.80r"
                      % (source.name, file.path, reply.header("Content-Range")))
    if found[3] not in ("*", str(file.size)):
        raise Refused("%s has %s bytes of %s, expected %d"
                      % (source.name, found[3], file.path, file.size))
    return Stream(begin, int(found[2]) + 1, reply)


def stream_of(reply, file, begin, end, source):
    """The answer to a GET with range_header. source.refusal(reply, file): its words for what else
    was answered."""
    if reply.header("Content-Encoding") not in ("", "identity"):
        raise Refused("%s answered %s as Content-Encoding %.40r" % (
            source.name, file.path, reply.header("Content-Encoding")))
    if reply.status == 206:
        return _partial(reply, file, begin, end, source)
    if reply.status == 200:
        if reply.left not in (None, file.size):
            raise Refused("%s has %d bytes of %s, expected %d"
                          % (source.name, reply.left, file.path, file.size))
        return Stream(0, file.size, reply)
    if reply.status in TROUBLE or reply.status >= 500:
        raise reply.trouble("GET " + file.path)
    raise source.refusal(reply, file)
