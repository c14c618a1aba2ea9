"""What the tests of environments need: wheels and source packages, an index that serves them, a
Waybill whose runtime has Python."""
import contextlib
import http.server
import io
import json
import os
import ssl
import subprocess
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

import python_base
from conftest import Waybill

BUILT = ["ImageBuildRequested", "ImageBuildStatus", "ImageBuildStarted", "ImageBuildStatus",
         "ImageBuilt", "ImageBuildStatus", "ModelImported"]
FRESH = ["EnvImageBuildRequested", "EnvImageExplained", "EnvImageBuildStarted"]
HIT = ["EnvImageExplained", "EnvImageCacheHit"]

# serve.py of a model: the base image of the tests runs it. HEALTH is to be set before it.
SERVE = '''
import http.server, json, os, sys
print("serving as", os.getuid(), os.getgid(), flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(HEALTH, {"path": self.path})
    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "boom" in sent:
            print("it went boom", flush=True)
            return self.answer(500, {"error": "boom"})
        self.answer(200, {"path": self.path, "sum": sum(sent["numbers"])})
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
'''


@pytest.fixture(scope="session")
def python_layout():
    why = python_base.can_be_made()
    if why:
        pytest.skip(why)
    return python_base.python_layout()


def make_builder(data, layout, image="latest", who=lambda waybill: waybill):
    waybill = who(Waybill(data))
    # apt's sources of the host would otherwise give every build a network.
    waybill.environment |= {"WAYBILL_BUILD_RUNTIME": "", "WAYBILL_BUILD_NETWORK": "none"}
    waybill.run("runtime", "add", "py", "--image", f"oci:{layout}:{image}", check=True)
    return waybill


@pytest.fixture(scope="session")
def builder(tmp_path_factory, python_layout):
    """Waybill with the runtime `py`, whose base is unpacked once for all tests. Its builds have no
    network: those of `index` have."""
    waybill = make_builder(tmp_path_factory.mktemp("builder") / "data", python_layout)
    yield waybill
    assert not left_behind(waybill), left_behind(waybill)
    remove(waybill.data)


@pytest.fixture
def fresh_builder(tmp_path, python_layout):
    """The same, with a store and a cache of its own."""
    waybill = make_builder(tmp_path / "fresh", python_layout)
    yield waybill
    assert not left_behind(waybill), left_behind(waybill)
    remove(waybill.data)


def remove(data):
    """What is unpacked in it belongs in part to subordinate ids, where we are not root: pytest could
    not remove it."""
    if os.geteuid() != 0:
        subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", data], check=True)


def left_behind(waybill, seconds=10):
    """What no build may leave: mounts, loop devices, processes, scratch directories, cgroups. The
    kernel lets go of some a moment after their last process."""
    end = time.monotonic() + seconds
    while found := look_for_left_behind(waybill):
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return found


def look_for_left_behind(waybill):
    data = str(waybill.data)
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if data in line]
    loops = [line for line in subprocess.run(["losetup", "-a"], capture_output=True,
                                             text=True).stdout.splitlines() if data in line]
    sandboxes = list((waybill.data / "sandbox").glob("*"))
    return mounts + loops + sandboxes + helpers(waybill) + cgroups(waybill)


def helpers(waybill):
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = process.read_bytes().split(b"\0")
            if {b"sandbox-helper", b"sandbox-deputy"} & set(words) and any(str(waybill.data).encode() in word
                                                  for word in words):
                found.append(int(process.parent.name))
    return sorted(found)


def cgroups(waybill):
    """Those of its data directory begin with a hash of it (g_str_hash)."""
    number = 5381
    for byte in str(waybill.data / "sandbox").encode():
        number = (number * 33 + byte) & 0xffffffff
    return [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/waybill/{number:08x}-*")]


# -- packages --

def wheel(name, version="1.0", requires=(), files=None, tag="py3-none-any"):
    """(file name, content) of a pure wheel."""
    info = f"{name}-{version}.dist-info"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        def put(path, text):
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
        put(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        for path, text in (files or {}).items():
            put(path, text)
        put(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {one}\n" for one in requires))
        put(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            f"Tag: {tag}\n")
        put(f"{info}/RECORD", "")
    return f"{name}-{version}-{tag}.whl", content.getvalue()


def sdist(name, version="1.0", before="", setup=""):
    """(file name, content) of a source package; `before` runs in its setup.py."""
    text = (f"{before}\nfrom setuptools import setup, Extension\n"
            f"setup(name={name!r}, version={version!r}, py_modules=[{name!r}], {setup})\n")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, body in {"setup.py": text, f"{name}.py": "", "x.c": "int x;\n",
                           "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\n"
                                       f"Version: {version}\n"}.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body.encode()))
    return f"{name}-{version}.tar.gz", content.getvalue()


class Index:
    """A package index (PEP 503) on loopback: index.add(wheel("tiny")), index.url. Whoever asks for
    the page or the file that it holds, index.hold("tiny"), waits until index.let_go("tiny")."""

    def __init__(self, certificate=None, answer=None):
        self.files, self.asked, self.held, index = {}, [], {}, self
        self.answer = answer

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                index.asked.append(self.path)
                index.wait(self.path.strip("/").split("/")[-1])
                status, kind, body = index.page(self.path)
                if index.answer:
                    status, kind, body = index.answer, "text/plain", b"no\n"
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked was killed
                    self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, *packages):
        for name, content in packages:
            self.files[name] = content
        return self

    def hold(self, *names):
        self.held |= {name: threading.Event() for name in names}

    def let_go(self, *names):
        for name in names or self.held:
            self.held[name].set()

    def wait(self, name):
        if name in self.held:
            self.held[name].wait(120)

    def page(self, path):
        parts = path.strip("/").split("/")
        if parts[0] == "files" and parts[-1] in self.files:
            return 200, "application/octet-stream", self.files[parts[-1]]
        if parts == ["simple"]:
            return 200, "text/html", b"<html>all of them</html>"
        names = [name for name in self.files
                 if parts[0] == "simple" and name.split("-")[0].lower().replace("_", "-") == parts[-1]]
        links = "".join(f'<a href="/files/{name}">{name}</a>\n' for name in names)
        return (200 if links else 404), "text/html", f"<html>{links}</html>".encode()

    @property
    def port(self):
        return self.server.server_address[1]

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/simple"

    @property
    def env(self):
        """What has a build use it."""
        return {"WAYBILL_BUILD_NETWORK": "", "WAYBILL_BUILD_PIP_INDEX_URL": self.url}

    def stop(self):
        self.let_go()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def index():
    running = Index()
    yield running
    running.stop()


def dependencies(*names, installer="pip"):
    listed = []
    for text in names:
        row = {"package_name": text}
        for sign, restraint in (("==", "EXACT"), (">=", "ATLEAST"), ("<=", "ATMOST")):
            if sign in text:
                name, version = text.split(sign)
                row = {"package_name": name, "package_version": version, "restraint": restraint}
        listed.append(row)
    return [{"installer": installer, "packages": listed}]


def bring(package, names, wheels=(), name="package", installer="pip"):
    """A package with dependencies and wheels."""
    files = {f"model/{file}": content for file, content in wheels}
    listed = names if names and isinstance(names[0], dict) else \
        dependencies(*names, installer=installer)
    return package(files, config={"dependencies": listed}, name=name)


def reasons(events):
    return [event["reason"] for event in events]


def failed(waybill, source, reason, kind, name, *arguments, env=None):
    """Imports what fails: the event that says why."""
    result = waybill.run("import", source, "--name", name, "--json", *arguments, env=env)
    assert result.returncode == 1, str(result)
    last = result.events[-1]
    [cause] = [event for event in result.events if event["seq"] == last["cause"]]
    log = waybill.run("log", name).stdout
    assert (cause["reason"], cause.get("kind", "")) == (reason, kind), \
        (json.dumps(cause, indent=1), log)
    return cause
