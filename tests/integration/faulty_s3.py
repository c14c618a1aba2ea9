"""A small S3 service of the tests' own, for what a real one cannot be made to show: it holds one bucket,
looks at no signature, and fails as it is told to.

    with FaultyS3({"p/model/config.json": b"…"}) as s3:
        s3.fault("read", lambda asked: Answer(503), times=2)
"""
import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "models"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    sent: int | None = None    # so many bytes of the body, then the connection is cut
    length: int | None = None  # what Content-Length says, when it is not true


@dataclass
class Asked:
    part: str  # list, read
    key: str
    query: dict
    headers: dict
    begin: int = 0
    end: int = 0


def error(status, code, **headers):
    body = f"<Error><Code>{code}</Code><Message>said the test</Message><RequestId>tx-1</RequestId></Error>"
    return Answer(status, body.encode(), headers)


class FaultyS3:
    def __init__(self, objects, page=1000):
        self.objects, self.page, self.faults, self.requests = dict(objects), page, [], []
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                service.serve(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def fault(self, part, answer, times=None):
        self.faults.append([part, answer, times])

    def count(self, part):
        return sum(1 for asked in self.requests if asked.part == part)

    def etag(self, key):
        return hashlib.md5(self.objects[key]).hexdigest()

    def serve(self, handler):
        url = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        key = unquote(url.path).removeprefix(f"/{BUCKET}/")
        asked = Asked("list" if not key else "read", key, query,
                      {name.lower(): value for name, value in handler.headers.items()})
        ranged = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", ""))
        if ranged:
            asked.begin, asked.end = int(ranged[1]), int(ranged[2]) + 1
        with self.lock:
            self.requests.append(asked)
            answer = self.faulty(asked) or (self.list(asked) if asked.part == "list" else self.read(asked))
        self.send(handler, answer)

    def faulty(self, asked):
        for fault in self.faults:
            part, answer, times = fault
            if part == asked.part and times != 0:
                found = answer(asked)
                if found:
                    fault[2] = times if times is None else times - 1
                    return found
        return None

    def list(self, asked):
        prefix, token = asked.query.get("prefix", ""), asked.query.get("continuation-token", "")
        keys = [key for key in sorted(self.objects) if key.startswith(prefix) and key > token]
        shown, more = keys[:self.page], len(keys) > self.page
        rows = "".join(f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(self.objects[key])}</Size>"
                       f"<ETag>&quot;{self.etag(key)}&quot;</ETag>"
                       "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>" for key in shown)
        after = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        return Answer(200, f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{after}{rows}"
                           "</ListBucketResult>".encode())

    def read(self, asked):
        content = self.objects.get(asked.key)
        if content is None:
            return error(404, "NoSuchKey")
        wanted = asked.headers.get("if-match")
        if wanted and wanted != f'"{self.etag(asked.key)}"':
            return error(412, "PreconditionFailed")
        return Answer(206, content[asked.begin:asked.end])

    @staticmethod
    def send(handler, answer):
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length",
                            str(len(answer.body) if answer.length is None else answer.length))
        handler.end_headers()
        try:
            handler.wfile.write(answer.body if answer.sent is None else answer.body[:answer.sent])
            handler.wfile.flush()
        except OSError:
            pass
        if answer.sent is not None or answer.length is not None:
            handler.close_connection = True
            handler.connection.shutdown(2)
