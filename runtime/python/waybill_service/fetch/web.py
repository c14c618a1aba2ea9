"""GET over HTTP and HTTPS. A Client is one thread's: its connections stay open between requests."""
import contextlib
import email.utils
import http.client
import socket
import ssl
import time
from urllib.parse import urljoin, urlsplit

from waybill_service.answers import readable
from waybill_service.fetch.failure import Refused, Trouble
from waybill_service.fetch.proxy import make_connection

CONNECT_SECONDS = 10
SILENCE_SECONDS = 30  # without a byte: the connection counts as broken
REDIRECTS_MAX = 5
WAIT_MAX = 60  # seconds of Retry-After that are obeyed


def make_context(ca_file):
    """Of the machine's certificates, and those in ca_file."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise Refused("WAYBILL_MODEL_CA_FILE: %s holds no certificates that can be read: %s"
                          % (ca_file, error.strerror or error)) from None
    return context


def origin_of(url):
    """(scheme, host, port)"""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def host_text(origin):
    """As the Host header and our messages have it."""
    scheme, host, port = origin
    name = "[%s]" % host if ":" in host else host
    return name if port == (443 if scheme == "https" else 80) else "%s:%d" % (name, port)


def retry_after(value):
    """Seconds, or None."""
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), WAIT_MAX)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0), WAIT_MAX)


def failure_of(error, origin, seconds):
    """The Failure that an exception of a connection is. seconds: that it was given."""
    host = host_text(origin)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused("the certificate of %s is not trusted: %s; mount the certificate of its CA "
                       "and set WAYBILL_MODEL_CA_FILE" % (host, error.verify_message), whole=True)
    if isinstance(error, TimeoutError) and error.errno is None:  # else it is the kernel's
        return Trouble("%s said nothing for %d s" % (host, seconds))
    reason = type(error).__name__
    if isinstance(error, OSError):  # http.client's own tell addresses, which may be signed
        reason = error.strerror or str(error) or reason
    return Trouble("the connection to %s failed: %s" % (host, readable(reason)[:200]))


class Reply:
    """An answer whose body is still to be read. finish() in any case."""

    def __init__(self, client, origin, response, url):
        self.client, self.origin, self.response, self.url = client, origin, response, url
        self.status = response.status
        self.redirected = False
        length = self.header("Content-Length")
        plain = length.isascii() and length.isdigit() and not response.chunked
        self.left = int(length) if plain else None

    def header(self, name):
        return self.response.getheader(name) or ""

    def read(self, most):
        """What has come, at most so many bytes; b"": the end. Trouble: it came too early."""
        if self.left == 0:
            return b""
        try:
            data = self.response.read1(most if self.left is None else min(most, self.left))
        except (OSError, http.client.HTTPException) as error:
            raise failure_of(error, self.origin, SILENCE_SECONDS) from None
        if self.left is not None:
            if not data:
                raise Trouble("%s ended the connection %d bytes too early"
                              % (host_text(self.origin), self.left))
            self.left -= len(data)
        return data

    def body(self, limit):
        """All of a small one."""
        found = b""
        while len(found) < limit and (data := self.read(limit - len(found))):
            found += data
        return found

    def finish(self):
        """The connection stays open where the body was read to its end."""
        whole = self.left == 0 or self.response.isclosed()
        self.response.close()
        if not whole:
            self.client.drop(self.origin)

    def trouble(self, what):
        """Of a status that may be another one later."""
        return Trouble("%s answered %d to %s" % (host_text(self.origin), self.status, what),
                       retry_after(self.header("Retry-After")))


class Client:
    def __init__(self, context):
        self.context, self.connections, self.aborted = context, {}, False
        self.sock = None  # of the last request: its connection forgets it where the answer ends it

    def drop(self, origin):
        connection, _ = self.connections.pop(origin, (None, None))
        if connection:
            connection.close()

    def abort(self):
        """From any thread: what waits for an answer fails now."""
        self.aborted = True
        sock = self.sock
        if sock:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self):
        for origin in list(self.connections):
            self.drop(origin)

    def _connect(self, origin):
        """(connection, the proxy that is to be asked by whole URLs)"""
        connection, proxy = make_connection(origin, self.context, CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(SILENCE_SECONDS)
        self.connections[origin] = connection, proxy
        return connection, proxy

    def _ask(self, method, url, headers, body):
        origin, parts = origin_of(url), urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        while True:
            used = origin in self.connections
            try:
                connection, proxy = self.connections.get(origin) or self._connect(origin)
                self.sock = connection.sock
                if self.aborted:
                    raise ConnectionAbortedError
                connection.request(method, url if proxy else target, body, {
                    "host": host_text(origin), "accept-encoding": "identity",
                    "user-agent": "waybill-service", **headers, **(proxy.headers if proxy else {})})
                return Reply(self, origin, connection.getresponse(), url)
            except (OSError, http.client.HTTPException) as error:
                seconds = SILENCE_SECONDS if origin in self.connections else CONNECT_SECONDS
                self.drop(origin)
                if not used or self.aborted:  # else the server closed it meanwhile: on a new one
                    raise failure_of(error, origin, seconds) from None

    def ask(self, url, headers, method="GET", body=None, follow=False):
        """A Reply. Where a redirect leads to another host, Authorization does not go."""
        first = origin_of(url)
        for _ in range(REDIRECTS_MAX + 1):
            reply = self._ask(method, url, headers, body)
            if not follow or reply.status not in (301, 302, 303, 307, 308):
                reply.redirected = reply.origin != first
                return reply
            reply.finish()
            url = self._next(reply, url)
            if origin_of(url) != first:
                headers = {name: value for name, value in headers.items()
                           if name.lower() != "authorization"}
        raise Refused("%s redirects more than %d times" % (host_text(first), REDIRECTS_MAX))

    @staticmethod
    def _next(reply, url):
        host, location = host_text(reply.origin), reply.header("Location").strip(" \t")
        try:
            there = urljoin(url, location)
            parts = urlsplit(there)
            sound = (parts.scheme in ("http", "https") and parts.hostname and origin_of(there)
                     and location.isascii() and location.isprintable() and " " not in location)
        except ValueError:
            sound = False
        if not sound or parts.username is not None:
            raise Refused("%s redirects to where nothing can be fetched" % host)
        if reply.origin[0] == "https" and parts.scheme != "https":
            raise Refused("%s redirects to %s without TLS, which is not followed"
                          % (host, host_text(origin_of(there))))
        return there
