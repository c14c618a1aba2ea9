"""A registry of the tests' own that holds blobs only, and fails as it is told to.

    with FaultyBlobs({digest: bytes}) as server:
        server.fault(lambda asked: Answer(503), times=2)
        server.requests    # all that arrived
        server.sent        # bytes of blobs
"""
import contextlib
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEP = 64 << 10


@dataclass
class Asked:
    path: str
    digest: str
    headers: dict  # names in lower case
    begin: int = 0
    end: int | None = None  # behind the last byte; None: no Range


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    silence: float = 0  # seconds between the head and the body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        """As a proxy that tunnels."""
        self.server.owner.tunnels.append(self.path)
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {self.connection: there, there: self.connection}
            while ready := select.select(list(ends), [], [], 20)[0]:
                data = ready[0].recv(STEP)
                if not data:
                    break
                ends[ready[0]].sendall(data)
        self.close_connection = True

    def do_GET(self):
        with self.server.owner.lock:
            self.server.owner.open += 1
            self.server.owner.most_open = max(self.server.owner.most_open, self.server.owner.open)
        try:
            self.server.owner.answer(self)
        except OSError:  # the client has gone
            self.close_connection = True
        finally:
            with self.server.owner.lock:
                self.server.owner.open -= 1


class DeadHost:
    """Ends every connection at once, and counts them."""

    def __init__(self):
        self.connections, self.socket = 0, socket.create_server(("127.0.0.1", 0))
        self.source = "registry+http://127.0.0.1:%d" % self.socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                self.socket.accept()[0].close()
                self.connections += 1


class FaultyBlobs:
    """ranges: it knows Range. rate: bytes a second of each connection. cut: the connection ends after
    so many bytes of an answer, in each."""

    def __init__(self, blobs, ranges=True, rate=None, cut=None):
        self.blobs, self.ranges, self.rate, self.cut = blobs, ranges, rate, cut
        self.requests, self.times, self.faults, self.tunnels, self.sent = [], [], [], [], 0
        self.open = self.most_open = 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.owner = True, self
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        self.source = "registry+http://" + self.host

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def fault(self, make, times=1):
        """make(asked): an Answer, or None, which does not count."""
        self.faults.append([make, times])

    def _fault(self, asked):
        with self.lock:
            self.requests.append(asked)
            self.times.append(time.monotonic())
        for fault in self.faults:
            answer = fault[1] > 0 and fault[0](asked)
            if answer:
                fault[1] -= 1
                return answer
        return None

    def answer(self, handler):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        digest = handler.path.partition("?")[0].rpartition("/")[2]
        asked = Asked(handler.path, digest, headers)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        if found:
            asked.begin, asked.end = int(found[1]), int(found[2]) + 1
        answer = self._fault(asked)
        if answer is None and digest not in self.blobs:
            answer = Answer(404)
        if answer:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer.body)))
            handler.end_headers()
            time.sleep(answer.silence)
            handler.wfile.write(answer.body)
            return
        self._send(handler, asked, self.blobs[digest])

    def _send(self, handler, asked, blob):
        content = memoryview(blob)
        if asked.end and self.ranges:
            content = content[asked.begin:asked.end]
            handler.send_response(206)
            handler.send_header("Content-Range", "bytes %d-%d/%d"
                                % (asked.begin, asked.begin + len(content) - 1, len(blob)))
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for at in range(0, len(content), STEP):
            piece = content[at:at + STEP]
            if self.cut is not None and at >= self.cut:
                handler.close_connection = True
                return
            handler.wfile.write(piece)
            with self.lock:
                self.sent += len(piece)
            if self.rate:
                time.sleep(len(piece) / self.rate)
