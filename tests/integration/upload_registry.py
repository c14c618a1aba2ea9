"""A small registry that takes pushes, for the faults that a real one cannot be made to show: connections
that are cut in the middle of an upload, tokens that expire, refusals. It keeps what arrived of a torn
upload, unless `forgets` says otherwise, and remembers every request."""
import base64
import contextlib
import hashlib
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHUNK = 1 << 16


class UploadRegistry:
    """with UploadRegistry(cuts=[0.25, 0.5]) as registry: registry.address is HOST:PORT."""

    def __init__(self, cuts=(), forgets=False, token_seconds=None, refuse=None, busy=0, mount=True,
                 location="path", size=None, referrers=False, refuse_subjects=False):
        self.cuts = list(cuts)        # fractions of `size` at which a connection is cut, once each
        self.size = size              # of the blob that they are of
        self.forgets = forgets        # a torn upload is unknown afterwards, as in docker-registry 2.8
        self.token_seconds = token_seconds  # None: no login
        # {(method, part): (status, code[, message[, headers]])}, or (method, part, repository's end);
        # part: blob, upload, manifest, tags
        self.refuse = refuse or {}
        self.busy = busy              # so many first requests are answered with 503
        self.mount = mount
        self.referrers = referrers    # it has the API of 1.1
        self.refuse_subjects = refuse_subjects  # it knows no manifests with one
        self.location = location      # path, url
        self.blobs, self.manifests, self.uploads = {}, {}, {}
        self.requests, self.received, self.tokens = [], 0, {}
        self.lock = threading.Lock()

    def __enter__(self):
        registry = self

        class Handler(UploadHandler):
            pass
        Handler.registry = registry
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def reference(self):
        return "registry+http://" + self.address

    def count(self, method, pattern=""):
        return sum(1 for one, path in self.requests if one == method and re.search(pattern, path))


class UploadHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message="said the test", headers=None, **more):
        headers = (headers or {}) | more
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        early = status >= 400 and self.command in ("PATCH", "PUT")
        if early:  # its body is not read
            self.close_connection = True
            headers["Connection"] = "close"
        self.answer(status, body, **headers)
        if early:
            self.drain()

    def drain(self):
        """Until the client has seen the answer: a connection that is reset would take it away."""
        self.wfile.flush()
        self.connection.settimeout(2)
        with contextlib.suppress(OSError):
            while self.connection.recv(CHUNK):
                pass

    def admitted(self):
        registry = self.registry
        if registry.token_seconds is None:
            return True
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if registry.tokens.get(token, 0) > time.monotonic():
            return True
        self.fail(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="http://%s/token",service="t"'
                  % registry.address)
        return False

    def give_token(self):
        registry = self.registry
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"alice:s3cret").decode():
            return self.fail(401, "UNAUTHORIZED")
        token = uuid.uuid4().hex
        registry.tokens[token] = time.monotonic() + registry.token_seconds
        return self.answer(200, json.dumps({"token": token, "expires_in":
                                            max(1, int(registry.token_seconds))}).encode())

    def route(self):
        registry = self.registry
        url = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(url.query).items()}
        with registry.lock:
            registry.requests.append((self.command, self.path))
            if url.path != "/token" and registry.busy > 0:
                registry.busy -= 1
                return self.fail(503, "UNAVAILABLE")
        if url.path == "/token":
            return self.give_token()
        if not self.admitted():
            return None
        parts = re.fullmatch(r"/v2/(.+)/(blobs/uploads|blobs|manifests|tags)/(.*)", url.path)
        referrers = re.fullmatch(r"/v2/(.+)/referrers/(.*)", url.path)
        if referrers and registry.referrers:
            return self.list_referrers(*referrers.groups())
        if not parts:
            return self.answer(200, b"{}") if url.path == "/v2/" else self.fail(404, "UNSUPPORTED")
        self.repository, kind, self.name = parts.groups()
        part = {"blobs/uploads": "upload", "blobs": "blob", "tags": "tags"}.get(kind, "manifest")
        for (method, of, *where), said in registry.refuse.items():
            if (method, of) == (self.command, part) and self.repository.endswith(tuple(where) or ""):
                return self.fail(*said)
        return getattr(self, "%s_%s" % (self.command.lower(), part))()

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = route

    # -- blobs and manifests --

    def head_blob(self):
        blob = self.registry.blobs.get((self.repository, self.name))
        return self.answer(200) if blob is not None else self.fail(404, "BLOB_UNKNOWN")

    def get_blob(self):
        blob = self.registry.blobs.get((self.repository, self.name))
        return self.answer(200, blob) if blob is not None else self.fail(404, "BLOB_UNKNOWN")

    def get_manifest(self):
        found = self.registry.manifests.get((self.repository, self.name))
        if not found:
            return self.fail(404, "MANIFEST_UNKNOWN")
        return self.answer(200, found[1], Content_Type=found[0])

    head_manifest = get_manifest

    def get_tags(self):
        tags = sorted(name for place, name in self.registry.manifests
                      if place == self.repository and ":" not in name)
        if not tags:
            return self.fail(404, "NAME_UNKNOWN")
        return self.answer(200, json.dumps({"name": self.repository, "tags": tags}).encode())

    def put_manifest(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        if self.registry.refuse_subjects and "subject" in json.loads(body):
            return self.fail(400, "MANIFEST_INVALID")
        for name in (self.name, digest):
            self.registry.manifests[self.repository, name] = (self.headers["Content-Type"], body)
        subject = json.loads(body).get("subject") if self.registry.referrers else None
        more = {"OCI_Subject": subject["digest"]} if subject else {}
        return self.answer(201, Docker_Content_Digest=digest, **more)

    def list_referrers(self, repository, digest):
        found = {}
        for (place, _), (media_type, body) in self.registry.manifests.items():
            manifest = json.loads(body)
            if place == repository and manifest.get("subject", {}).get("digest") == digest:
                own = "sha256:" + hashlib.sha256(body).hexdigest()
                found[own] = {"mediaType": media_type, "digest": own, "size": len(body),
                              "artifactType": manifest["artifactType"]}
        self.answer(200, json.dumps({"schemaVersion": 2, "manifests": list(found.values())}).encode(),
                    Content_Type="application/vnd.oci.image.index.v1+json")

    # -- uploads --

    def place(self, name):
        path = "/v2/%s/blobs/uploads/%s?state=x" % (self.repository, name)
        return path if self.registry.location == "path" else "http://%s%s" % (
            self.registry.address, path)

    def post_upload(self):
        registry = self.registry
        mounted = registry.blobs.get((self.query.get("from"), self.query.get("mount")))
        if registry.mount and mounted is not None:
            registry.blobs[self.repository, self.query["mount"]] = mounted
            return self.answer(201, Location="/v2/%s/blobs/%s" % (self.repository, self.query["mount"]))
        name = uuid.uuid4().hex
        registry.uploads[name] = bytearray()
        return self.answer(202, Location=self.place(name), Range="0-0")

    def body_pieces(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while True:
                size = int(self.rfile.readline().strip() or b"0", 16)
                piece = self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    return
                yield piece
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, CHUNK))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            yield piece

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(2)
        raise ConnectionError

    def take_body(self):
        """Into the upload; cut where it is due."""
        registry = self.registry
        content = registry.uploads[self.name]
        for piece in self.body_pieces():
            content += piece
            registry.received += len(piece)
            if registry.cuts and len(content) >= registry.cuts[0] * registry.size:
                registry.cuts.pop(0)
                if registry.forgets:
                    del registry.uploads[self.name]
                self.cut()
        return content

    def known(self):
        if self.name in self.registry.uploads:
            return True
        self.fail(404, "BLOB_UPLOAD_INVALID")
        return False

    def patch_upload(self):
        if not self.known():
            return
        begin = self.headers.get("Content-Range", "").split("-")[0]
        if begin and int(begin) != len(self.registry.uploads[self.name]):
            self.fail(416, "BLOB_UPLOAD_INVALID")
            return
        content = self.take_body()
        self.answer(202, Location=self.place(self.name), Range="0-%d" % max(len(content) - 1, 0))

    def get_upload(self):
        if self.known():
            size = len(self.registry.uploads[self.name])
            self.answer(204, Location=self.place(self.name), Range="0-%d" % max(size - 1, 0))

    def put_upload(self):
        if not self.known():
            return
        content = bytes(self.take_body())
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if digest != self.query["digest"]:
            self.fail(400, "DIGEST_INVALID")
            return
        del self.registry.uploads[self.name]
        self.registry.blobs[self.repository, digest] = content
        self.answer(201, Docker_Content_Digest=digest)

    def delete_upload(self):
        self.registry.uploads.pop(self.name, None)
        self.answer(204)
