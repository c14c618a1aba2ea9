"""A running inference service (runtime/python/serve.py) on a model directory."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import uuid
from pathlib import Path

from serving import Answer

SERVE = Path(__file__).resolve().parents[2] / "runtime/python/serve.py"
JSON = {"Content-Type": "application/json"}


class Service:
    """settings: of waybill_service/settings.py, threads=1. variables: further ones of its environment.
    `log`: its lines so far."""

    def __init__(self, model_dir, python="/usr/bin/python3", variables=None, **settings):
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                       "WAYBILL_SERVICE_MODEL_DIR": str(model_dir), "WAYBILL_SERVICE_PORT": "0",
                       **(variables or {})}
        for name, value in settings.items():
            environment["WAYBILL_SERVICE_" + name.upper()] = str(value)
        self.process = subprocess.Popen([python, str(SERVE)], env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, errors="replace")
        self.log, self.loaded, self.port = [], threading.Event(), 0
        listening = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(listening,), daemon=True)
        self.reader.start()
        assert listening.wait(30) and self.port, "".join(self.log)

    def _read(self, listening):
        for line in self.process.stdout:
            self.log.append(line)
            found = re.search(r"listening on port (\d+)", line)
            if found:
                self.port = int(found[1])
                listening.set()
            if re.match(r"\S+Z (loaded|not ready:)", line):
                self.loaded.set()
        listening.set()

    def ready(self):
        assert self.loaded.wait(60), "".join(self.log)
        return self

    def ask(self, method="POST", path="/", body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, value, **options):
        body = value if isinstance(value, (str, bytes)) else json.dumps(value)
        return self.ask(body=body, headers=JSON, **options)

    def send(self, raw, timeout=30):
        """What it answers to these bytes, until it closes or `timeout` is over."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as peer:
            peer.sendall(raw)
            answer = b""
            while chunk := peer.recv(65536):
                answer += chunk
            return answer

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(30)
        self.reader.join(10)
        self.process.stdout.close()
        return status


def form(*parts, boundary=None):
    """(body, headers) of (name, file name or None, content) parts."""
    boundary = boundary or uuid.uuid4().hex
    body = b""
    for name, file_name, content in parts:
        disposition = f'form-data; name="{name}"'
        if file_name is not None:
            disposition += f'; filename="{file_name}"'
        body += (f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
                 + content + b"\r\n")
    return (body + f"--{boundary}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def write_package(directory, code=None, config=None, files=()):
    directory.mkdir(parents=True, exist_ok=True)
    if code is not None:
        (directory / "customize_service.py").write_text(code)
    if config is not None:
        (directory / "config.json").write_text(json.dumps(config))
    for name in files:
        (directory / name).write_bytes(b"")
    return directory
