"""The head of an HTTP/1.1 request (RFC 9112): strict, so that it means one thing only."""
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from waybill_service.answers import HttpError

HEAD_LIMIT = 32 << 10  # bytes
HEADERS_MAX = 100
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VERSION = re.compile(r"HTTP/(\d)\.(\d)\Z")
_VALUE = re.compile("[\t\x20-\x7e\x80-\xff]*\\Z")


@dataclass
class Request:
    method: str
    target: str  # as it was sent
    path: str
    query: dict
    keep: bool  # the client wants to go on with the connection
    headers: dict = field(default_factory=dict)  # names in lower case

    def header(self, name):
        return self.headers.get(name, "")


def _bad(message, *values):
    return HttpError(400, "Service.BadRequest", message % values, close=True)


def _parse_headers(lines):
    headers = {}
    if len(lines) > HEADERS_MAX:
        raise HttpError(431, "Service.HeadTooLarge", "the request has %d header fields, at most %d "
                        "are taken" % (len(lines), HEADERS_MAX), close=True)
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _TOKEN.match(name) or not _VALUE.match(value):
            raise _bad("a header field is %r, expected NAME: VALUE", line[:80])
        name = name.lower()
        if name in headers and name in ("content-length", "transfer-encoding", "content-type",
                                        "host"):
            raise _bad("the header field %s stands there twice", name)
        headers[name] = headers[name] + ", " + value if name in headers else value
    return headers


def _parse_target(target):
    """(path, query): of the absolute form, too."""
    if target.startswith("//"):  # which urlsplit takes for a host
        target = "/" + target.lstrip("/")
    try:
        parts = urlsplit(target)
    except ValueError:
        raise _bad("the request's target is no URL: %.80s", target) from None
    if not (target.startswith("/") or parts.scheme in ("http", "https")):
        raise _bad("the request's target is %.80s, expected a path", target)
    try:
        query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise _bad("the request's query has more than 1000 fields") from None
    return unquote(parts.path) or "/", {name: values[-1] for name, values in query.items()}


def parse_head(head):
    """The Request that these bytes, without the empty line at their end, are."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.match(words[0]) or not words[1]:
        raise _bad("the request begins with %r, expected METHOD PATH HTTP/1.1", first[:80])
    version = _VERSION.match(words[2])
    if not version:
        raise _bad("the request begins with %r, expected METHOD PATH HTTP/1.1", first[:80])
    if version[1] != "1":
        raise HttpError(505, "Service.HttpVersion", "HTTP/1.1 is spoken here", close=True)
    headers = _parse_headers(lines)
    path, query = _parse_target(words[1])
    wish = headers.get("connection", "").lower()
    keep = "close" not in wish if version[2] != "0" else "keep-alive" in wish
    return Request(words[0], words[1], path, query, keep, headers)


def body_length(request, limit):
    """Bytes of the body; None: it comes in chunks."""
    length, coding = request.headers.get("content-length"), request.headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise _bad("Transfer-Encoding must be chunked, without a Content-Length")
        return None
    if length is None:
        if request.method in ("POST", "PUT", "PATCH"):
            raise HttpError(411, "Service.LengthRequired",
                            "the request needs a Content-Length or Transfer-Encoding: chunked",
                            close=True)
        return 0
    if not (length.isascii() and length.isdigit()):
        raise _bad("Content-Length is %.40s, expected a number of bytes", length)
    if len(length) > 18 or int(length) > limit:
        raise too_large(limit)
    return int(length)


def too_large(limit):
    return HttpError(413, "Service.BodyTooLarge", "the request's body is larger than %d MiB; "
                     "WAYBILL_SERVICE_MAX_BODY_MIB sets the limit" % (limit >> 20), close=True)
