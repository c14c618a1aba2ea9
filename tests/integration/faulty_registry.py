"""A small registry of the tests' own, which holds one image and fails as it is told to.

    with FaultyRegistry() as registry:
        registry.fault("layer", status(503), times=2)
        registry.requests    # all that arrived: what was asked, with which headers
        registry.bytes_sent  # of blobs

The parts that can fail: tags, manifest, config, layer, blob (the last two), token. A fault is a
function of what was asked that gives an Answer, or None: then the next one, or no fault, answers.
"""
import base64
import hashlib
import json
import random
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from oci_layout import CONFIG, INDEX, LAYER, MANIFEST, host_platform

USER, SECRET, TOKEN = "alice", "s3cret", "t0ken"
REPOSITORY, TAG = "team/app", "1"
DOCKER = {MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
          CONFIG: "application/vnd.docker.container.image.v1+json",
          LAYER: "application/vnd.docker.image.rootfs.diff.tar",
          INDEX: "application/vnd.docker.distribution.manifest.list.v2+json"}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    sent: int | None = None     # so many bytes of the body, then the connection is cut
    length: int | None = None   # what Content-Length says, when it is not true; -1: it is left out
    drip: bool = False          # the body's bytes come ten a second
    silent: bool = False        # no answer (of `sent` bytes: nothing more) before the test's end


@dataclass
class Asked:
    method: str
    path: str
    query: dict
    headers: dict  # lower-case names
    body: bytes
    part: str = ""
    reference: str = ""

    @property
    def begin(self):
        """Of its Range."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else 0


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image:
    """One layer of so many bytes; with several platforms an index of them."""

    def __init__(self, size=1 << 20, platforms=None, docker=False):
        kind = DOCKER if docker else {name: name for name in DOCKER}
        self.layer = random.Random(size).randbytes(size)
        self.manifests, self.configs, entries = {}, {}, []
        layer = {"mediaType": kind[LAYER], "digest": digest_of(self.layer), "size": size}
        for platform in platforms or [host_platform()]:
            system, architecture = platform.split("/")
            config = json.dumps({"os": system, "architecture": architecture, "config": {"Cmd": ["sh"]},
                                 "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode()
            self.configs[digest_of(config)] = config
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": kind[MANIFEST], "layers": [layer],
                "config": {"mediaType": kind[CONFIG], "digest": digest_of(config), "size": len(config)},
            }).encode()
            entries.append(self.put(manifest, kind[MANIFEST]) | {
                "platform": {"os": system, "architecture": architecture}})
        if len(entries) > 1:
            entries = [self.put(json.dumps({"schemaVersion": 2, "mediaType": kind[INDEX],
                                            "manifests": entries}).encode(), kind[INDEX])]
        self.digest = entries[0]["digest"]

    def put(self, manifest, media_type):
        self.manifests[digest_of(manifest)] = (manifest, media_type)
        return {"mediaType": media_type, "digest": digest_of(manifest), "size": len(manifest)}

    def blob(self, digest):
        return self.layer if digest == digest_of(self.layer) else self.configs.get(digest)


class FaultyRegistry:
    def __init__(self, image=None, address="127.0.0.1", tls=None):
        """tls: where make_certificate() of registries.py put one."""
        self.image, self.faults, self.requests, self.bytes_sent = image or Image(), [], [], 0
        self.tags, self.lock, self.over = [TAG], threading.Lock(), threading.Event()
        self.login = None  # "basic", or the seconds that a token lives
        self.tokens = {}   # token -> its end
        self.server = ThreadingHTTPServer((address, 0), handler_of(self))
        self.server.daemon_threads = True
        self.host = "%s:%d" % self.server.server_address
        self.url = f"http{'s' if tls else ''}://{self.host}"
        self.realm = f"{self.url}/token"
        self.reference = f"{'' if tls else 'registry+http://'}{self.host}/{REPOSITORY}:{TAG}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{tls}/tls.crt", f"{tls}/tls.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fault(self, part, answer, times=None):
        """The next so many requests of the part are answered by it; None: all of them."""
        self.faults.append([part, answer, times])

    def asked(self, part):
        return [asked for asked in self.requests if asked.part == part]

    # -- answers --

    def answer(self, asked):
        with self.lock:
            self.requests.append(asked)
            asked.part, asked.reference = part_of(asked.path, self.image)
            refused = self.guard(asked)
            return refused or self.faulty(asked) or getattr(self, "answer_" + asked.part)(asked)

    def faulty(self, asked):
        for fault in self.faults:
            part, answer, times = fault
            if part == asked.part or (part == "blob" and asked.part in ("config", "layer")):
                found = answer(asked) if times is None or times > 0 else None
                if found:
                    fault[2] = times if times is None else times - 1
                    return found
        return None

    def guard(self, asked):
        """Who has not logged in is told how to."""
        said = asked.headers.get("authorization", "")
        if self.login is None or asked.part in ("token", "elsewhere"):
            return None
        if self.login == "basic":
            good, challenge = said == basic(), 'Basic realm="tests"'
        else:
            good = self.tokens.get(said.removeprefix("Bearer "), 0) > time.monotonic()
            challenge = (f'Bearer realm="{self.realm}",service="tests",'
                         f'scope="repository:{REPOSITORY}:pull"')
        return None if good else refusal(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})

    def answer_token(self, asked):
        if asked.headers.get("authorization") != basic():
            return refusal(401, "UNAUTHORIZED")
        token = f"{TOKEN}-{len(self.tokens)}"
        self.tokens[token] = time.monotonic() + self.login
        return json_answer({"token": token, "expires_in": self.login})

    def answer_tags(self, asked):
        return json_answer({"name": REPOSITORY, "tags": self.tags})

    def answer_manifest(self, asked):
        digest = self.image.digest if asked.reference == TAG else asked.reference
        if digest not in self.image.manifests:
            return refusal(404, "MANIFEST_UNKNOWN")
        body, media_type = self.image.manifests[digest]
        return Answer(200, body, {"Content-Type": media_type})

    def answer_layer(self, asked):
        """Also the config."""
        body = self.image.blob(asked.reference)
        if body is None:
            return refusal(404, "BLOB_UNKNOWN")
        if asked.begin == 0:
            return Answer(200, body, {"Content-Type": "application/octet-stream"})
        if asked.begin >= len(body):
            return refusal(416, "RANGE_INVALID")
        return Answer(206, body[asked.begin:], {
            "Content-Range": f"bytes {asked.begin}-{len(body) - 1}/{len(body)}"})
    answer_config = answer_layer

    def answer_other(self, asked):
        return refusal(404, "UNKNOWN")


def basic(user=USER, secret=SECRET):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def part_of(path, image):
    if path == "/token":
        return "token", ""
    found = re.fullmatch(r"/v2/(.+)/(tags/list|manifests/([^/]+)|blobs/([^/]+))", path)
    if not found or found[1] != REPOSITORY:
        return "other", ""
    if found[4]:
        return "layer" if found[4] == digest_of(image.layer) else "config", found[4]
    return ("manifest", found[3]) if found[3] else ("tags", "")


def json_answer(value, status=200, headers=None):
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))


def refusal(status, code, headers=None, message=None):
    return json_answer({"errors": [{"code": code, "message": message or code.lower()}]}, status, headers)


def handler_of(registry):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer_it(self):
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, url.path, parse_qs(url.query),
                          {name.lower(): value for name, value in self.headers.items()}, body)
            answer = registry.answer(asked)
            try:
                self.send(asked, answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # whoever asked has heard enough

        def send(self, asked, answer):
            if answer.silent and answer.sent is None:
                registry.over.wait(30)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                for one in value if isinstance(value, list) else [value]:
                    self.send_header(name, one)
            length = len(answer.body) if answer.length is None else answer.length
            if length >= 0:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            body = answer.body if answer.sent is None else answer.body[:answer.sent]
            if answer.drip:
                for byte in body:
                    if registry.over.wait(0.1):
                        break
                    self.wfile.write(bytes([byte]))
            elif asked.method != "HEAD":
                self.wfile.write(body)
            if asked.part in ("config", "layer") and answer.status < 300:
                registry.bytes_sent += len(body)
            if answer.silent:
                registry.over.wait(30)
            if answer.sent is not None or length != len(answer.body):
                self.close_connection = True
        do_GET = do_POST = do_HEAD = do_PUT = answer_it

        def log_message(self, *_):
            pass
    return Handler


# -- faults --

def status(number, code="DENIED", headers=None, message=None):
    return lambda asked: refusal(number, code, headers, message)


def silence(asked):
    return Answer(silent=True)


def body(content, **headers):
    return lambda asked: Answer(200, content, {name.replace("_", "-"): value
                                               for name, value in headers.items()})


def redirect(target):
    """target: where to, or a function of what was asked."""
    return lambda asked: Answer(307, b"", {"Location": target(asked) if callable(target) else target})


def changed(registry, **fields):
    """The sound answer, with other fields: changed(registry, sent=1000)"""
    def answer(asked):
        sound = getattr(registry, "answer_" + asked.part)(asked)
        for name, value in fields.items():
            setattr(sound, name, value(sound) if callable(value) else value)
        return sound
    return answer
