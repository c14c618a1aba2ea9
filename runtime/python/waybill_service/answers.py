"""What is answered, and what is logged."""
import json
import sys
import threading
import time

_lock = threading.Lock()

REASONS = {
    100: "Continue", 200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 411: "Length Required", 413: "Content Too Large",
    415: "Unsupported Media Type", 417: "Expectation Failed",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
}


class HttpError(Exception):
    """A request that is answered with an error. close: the connection cannot go on after it.
    fields: what the body has besides the code and the message."""

    def __init__(self, status, code, message, close=False, headers=(), fields=None):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.close, self.headers, self.fields = close, headers, fields or {}

    def answer(self):
        body = error_body(self.code, self.message, self.fields)
        return Answer(self.status, body, self.headers, self.close)


class Answer:
    def __init__(self, status, body, headers=(), close=False):
        self.status, self.body, self.headers, self.close = status, body, headers, close

    def head(self, keep):
        lines = ["HTTP/1.1 %d %s" % (self.status, REASONS[self.status]),
                 "Content-Type: application/json", "Content-Length: %d" % len(self.body)]
        lines += ["%s: %s" % header for header in self.headers]
        lines.append("Connection: " + ("keep-alive" if keep else "close"))
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def error_body(code, message, fields=None):
    return json.dumps({"error_code": code, "error_msg": message, **(fields or {})}).encode() + b"\n"


def _plain(value):
    """NumPy's and pandas's values, without knowing those libraries."""
    for method in ("tolist", "to_dict", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError("a value of type %s cannot be made JSON" % type(value).__name__)


def result_body(result):
    """ValueError or TypeError: it cannot be made JSON (which has no NaN and no infinity)."""
    return json.dumps(result, default=_plain, allow_nan=False).encode() + b"\n"


def readable(text):
    """One line, whatever a client sent."""
    return "".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in text)


def log(format, *values):
    """A line of standard output, and never a half one."""
    text = format % values if values else format
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    with _lock:
        try:
            sys.stdout.write("%s.%03dZ %s\n" % (stamp, time.time() % 1 * 1000, text))
            sys.stdout.flush()
        except (OSError, ValueError):
            pass  # nobody reads the log any more: no reason to stop serving
