"""A running `waybill serve`, and a client of it."""
import http.client
import json
import signal
import subprocess
import time
from urllib.parse import urlencode, urlsplit

LOOPBACK = "127.0.0.1:0"


class Answer:
    """status, headers (lower case), body; .json of it."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:2000]}"


class Server:
    """`waybill serve` on a waybill's data directory; restarts keep its port."""

    def __init__(self, waybill, roots, *arguments, stderr=subprocess.DEVNULL):
        self.waybill, self.roots, self.arguments = waybill, roots, arguments
        self.listen, self.stderr = LOOPBACK, stderr
        self.start()

    def start(self):
        self.process = self.waybill.start(
            "serve", "--set", f"server.listen={self.listen}",
            "--set", f"server.import_roots={self.roots}", *self.arguments,
            stderr=self.stderr)
        address = self.process.stdout.readline().split()
        assert address, "the server did not start"
        self.netloc = urlsplit(address[-1]).netloc
        self.listen = self.netloc

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def connection(self, timeout=30):
        return http.client.HTTPConnection(self.netloc, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, **query):
        """body: bytes as they are, else sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if query:
            path += "?" + urlencode(query)
        connection = self.connection()
        try:
            try:
                connection.request(method, path, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the body was read: the answer is there
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **query):
        return self.ask("GET", "/v1/default" + path, **query)

    def create(self, source, name="m", version="0.0.1", **fields):
        body = {"model_name": name, "model_version": version, "model_type": "Custom",
                "source_location": f"file://{source}"} | fields
        return self.ask("POST", "/v1/default/models", body)

    def settled(self, model_id, timeout=60):
        """The details once the import has ended."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            details = self.get(f"/models/{model_id}").json
            if details["model_status"] not in ("publishing", "building"):
                return details
            time.sleep(0.02)
        raise AssertionError(f"{model_id} has not ended: {details}")


def read_stream(connection, path, after=None):
    """Events of a stream as (id, type, object), until it ends."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    fields = {}
    for line in response:
        line = line.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if not line:
            if "data" in fields and "id" in fields:  # progress has none
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
            continue
        name, _, value = line.partition(": ")
        assert name not in fields
        fields[name] = value
