"""A small S3 service of the tests' own, for what a real one cannot be made to show: it holds one bucket,
looks at no signature, and fails as it is told to.

    with FaultyS3({"p/model/config.json": b"…"}) as s3:
        s3.fault("read", lambda asked: Answer(503), times=2)
"""
import hashlib
import os
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
    part: str  # list, read; of what is written: head, create, write, copy, acl, delete, begin, put_part, finish,
    # abort, uploads
    key: str
    query: dict
    headers: dict
    begin: int = 0
    end: int = 0
    body: bytes = b""


def error(status, code, **headers):
    body = f"<Error><Code>{code}</Code><Message>said the test</Message><RequestId>tx-1</RequestId></Error>"
    return Answer(status, body.encode(), headers)


def quoted(key):
    """As listings have it; a byte that is no UTF-8 is a surrogate (PEP 383)."""
    return quote(key, errors="surrogateescape")


class FaultyS3:
    def __init__(self, objects, page=1000):
        self.objects, self.page, self.faults, self.requests = dict(objects), page, [], []
        self.lock = threading.Lock()
        self.origins, self.parts, self.begun = {}, {}, []  # of what was written; uploads in parts
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                service.serve(self)
            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

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
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(self.part_of(handler.command, key, query, headers), key, query, headers)
        asked.body = handler.rfile.read(int(headers.get("content-length", 0)))
        ranged = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", ""))
        if ranged:
            asked.begin, asked.end = int(ranged[1]), int(ranged[2]) + 1
        with self.lock:
            self.requests.append(asked)
            answer = self.faulty(asked) or getattr(self, asked.part)(asked)
        self.send(handler, answer)

    @staticmethod
    def part_of(method, key, query, headers):
        if method == "GET":
            return "uploads" if "uploads" in query else "read" if key else "list"
        if method == "PUT" and "x-amz-copy-source" in headers:
            return "copy"
        if method == "PUT" and not key:
            return "create"
        if method == "PUT":
            return "acl" if "acl" in query else "put_part" if "partNumber" in query else "write"
        if method == "POST":
            return "begin" if "uploads" in query else "finish"
        return "head" if method == "HEAD" else "abort" if "uploadId" in query else "delete"

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
        keys = [key for key in sorted(self.objects, key=os.fsencode) if key.startswith(prefix) and key > token]
        shown, more = keys[:self.page], len(keys) > self.page
        rows = "".join(f"<Contents><Key>{escape(quoted(key))}</Key><Size>{len(self.objects[key])}</Size>"
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

    # -- writing --

    def head(self, asked):
        if asked.key and asked.key not in self.objects:
            return Answer(404)
        return Answer(200, self.objects.get(asked.key, b""),
                      {"x-amz-meta-waybill-origin": self.origins.get(asked.key, "")})

    def keep(self, asked, content):
        self.objects[asked.key] = content
        self.origins[asked.key] = asked.headers.get("x-amz-meta-waybill-origin", "")

    def write(self, asked):
        self.keep(asked, asked.body)
        return Answer(200, b"", {"ETag": f'"{self.etag(asked.key)}"'})

    def copy(self, asked):
        source = unquote(asked.headers["x-amz-copy-source"]).removeprefix(f"/{BUCKET}/")
        if source not in self.objects:
            return error(404, "NoSuchKey")
        if asked.headers.get("x-amz-copy-source-if-match", f'"{self.etag(source)}"') != f'"{self.etag(source)}"':
            return error(412, "PreconditionFailed")
        self.keep(asked, self.objects[source])
        return Answer(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")

    def acl(self, _):
        return Answer()

    def create(self, _):
        return error(409, "BucketAlreadyOwnedByYou")

    def delete(self, asked):
        self.objects.pop(asked.key, None)
        return Answer(204)

    def begin(self, asked):
        name = f"upload-{len(self.begun) + 1}"
        self.begun.append(name)
        self.parts[name] = (asked, [])
        return Answer(200, f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId>"
                           "</InitiateMultipartUploadResult>".encode())

    def put_part(self, asked):
        if asked.query["uploadId"] not in self.parts:
            return error(404, "NoSuchUpload")
        self.parts[asked.query["uploadId"]][1].append(asked.body)
        return Answer(200, b"", {"ETag": '"part"'})

    def finish(self, asked):
        begun, parts = self.parts.pop(asked.query["uploadId"], (None, None))
        if not begun:
            return error(404, "NoSuchUpload")
        self.keep(begun, b"".join(parts))
        return Answer(200, b"<CompleteMultipartUploadResult/>")

    def abort(self, asked):
        return Answer(204) if self.parts.pop(asked.query["uploadId"], None) else error(404, "NoSuchUpload")

    def uploads(self, asked):
        rows = "".join(f"<Upload><Key>{escape(quote(begun.key))}</Key><UploadId>{name}</UploadId></Upload>"
                       for name, (begun, _) in self.parts.items())
        return Answer(200, f"<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>".encode())

    @staticmethod
    def send(handler, answer):
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length",
                            str(len(answer.body) if answer.length is None else answer.length))
        handler.end_headers()
        if handler.command == "HEAD":
            return
        try:
            handler.wfile.write(answer.body if answer.sent is None else answer.body[:answer.sent])
            handler.wfile.flush()
        except OSError:
            pass
        if answer.sent is not None or answer.length is not None:
            handler.close_connection = True
            handler.connection.shutdown(2)
