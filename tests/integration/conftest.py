"""Fixtures of the integration tests. They run the real program: $WAYBILL, or build/waybill."""
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.dont_write_bytecode = True  # a __pycache__ in examples/ would become part of a package

from oci_layout import make_base  # noqa: E402
from serving import Server  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(os.environ.get("WAYBILL") or ROOT / "build/waybill")


@dataclass
class Result:
    """What a command printed. events: its standard output's lines as event objects (--json)."""
    arguments: list
    returncode: int
    stdout: str
    stderr: str

    @property
    def events(self):
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def reasons(self):
        return [event["reason"] for event in self.events]

    def __str__(self):
        return "waybill %s: exit status %d\n%s%s" % (
            " ".join(self.arguments), self.returncode, self.stdout, self.stderr)


class Waybill:
    """The program on a data directory of its own."""

    def __init__(self, data):
        self.program = PROGRAM
        self.data = Path(data)
        self.who = {}  # Popen's user and group, where it is not who runs the tests (rootless.py)
        # No setting of the machine's own user may leak into a test.
        # Nor what says that a CI system runs the tests: it chooses a format.
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("WAYBILL")
                            and not key.startswith("PIP_")
                            and key not in ("GITHUB_ACTIONS", "GITLAB_CI")}
        # Environments are built only where a test is about them (environments.py): it is there that
        # root and a base image with Python are needed.
        self.environment |= {"WAYBILL_BUILD_RUNTIME": "/nowhere/runc"}
        self.environment |= {"WAYBILL_DATA": str(data), "LC_ALL": "C.UTF-8", "NO_COLOR": "1",
                             "WAYBILL_LANG": "en"}

    def start(self, *arguments, **options):
        """A running process: for tests that kill it, or run several."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "text": True} | self.who | options
        return subprocess.Popen([self.program, *map(str, arguments)], env=self.environment,
                                **options)

    def run(self, *arguments, check=False, timeout=120, env=None):
        """Runs it to its end; with check, anything but exit status 0 fails the test."""
        arguments = [str(argument) for argument in arguments]
        done = subprocess.run([self.program, *arguments], env=self.environment | (env or {}),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, **self.who)
        result = Result(arguments, done.returncode, done.stdout, done.stderr)
        if check:
            assert result.returncode == 0, str(result)
        return result


def finish(process, timeout=120):
    """(exit status, the rest of its standard output, its standard error). communicate() would lose
    what readline() has read ahead."""
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    try:
        stdout, stderr = process.stdout.read(), process.stderr.read()
        return process.wait(), stdout, stderr
    finally:
        timer.cancel()
        process.kill()


def wait_for(condition, seconds=30):
    """What it comes to be; that it does not in time fails the test."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that in %d s" % seconds)


def make_scratch(tmp_path_factory, name, room):
    """A folder for what is written in bulk: in memory where there is room, so that the disk is spared
    gigabytes. What a killed process leaves behind is the same there. The caller removes it."""
    memory = "/dev/shm"
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > room:
        return Path(tempfile.mkdtemp(prefix=f"waybill-{name}-", dir=memory))
    return tmp_path_factory.mktemp(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes for tmp_path whether the test failed."""
    outcome = yield
    item.failed = getattr(item, "failed", False) or outcome.get_result().failed


@pytest.fixture
def tmp_path(tmp_path, request):
    """pytest's own, which goes with its test: all of them would be 20 GiB. That of a test that failed
    stays, to be looked at."""
    yield tmp_path
    if not getattr(request.node, "failed", False):
        subprocess.run(["chmod", "-R", "u+rwX", tmp_path], capture_output=True)
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def waybill(tmp_path):
    """Waybill with a fresh data directory and no runtime."""
    return Waybill(tmp_path / "data")


@pytest.fixture
def waybill_at(tmp_path):
    """Makes further ones: waybill_at("other") works on another fresh data directory."""
    return lambda name: Waybill(tmp_path / name)


@pytest.fixture(scope="session")
def base_layout(tmp_path_factory):
    """An OCI layout with a small image, tag `latest`. Shared by all tests: copy before damaging."""
    where = tmp_path_factory.mktemp("base") / "layout"
    make_base(where)
    return where


@pytest.fixture
def podman_layout(base_layout):
    """A copy of it where podman can take it from: it makes a name of the path, which has rules that
    tempfile's names break now and then: no capitals, no underscore behind a hyphen."""
    where = Path("/tmp/waybill-" + secrets.token_hex(8))
    try:
        yield shutil.copytree(base_layout, where / "layout")
    finally:
        shutil.rmtree(where, ignore_errors=True)


@pytest.fixture
def ready(waybill, base_layout):
    """Waybill with the runtime `base`, which serves every engine."""
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill


@pytest.fixture
def server(ready, tmp_path):
    """`waybill serve` on ready's data directory, which may import from what `package` makes."""
    running = Server(ready, tmp_path)
    yield running
    assert running.stop() == 0


def write_package(where, files, links=None, fifos=(), modes=None):
    """A folder of files. A path that ends with / is a directory. Contents: text, bytes, a number
    (so many zero bytes, sparse), or anything else (written as JSON)."""
    where = Path(where)
    where.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        full = where / path
        if path.endswith("/"):
            full.mkdir(parents=True, exist_ok=True)
            continue
        full.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, int):
            with open(full, "wb") as file:
                file.truncate(content)
        elif isinstance(content, (str, bytes)):
            full.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            full.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for path, target in (links or {}).items():
        (where / path).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, where / path)
    for path in fifos:
        os.mkfifo(where / path)
    for path, mode in (modes or {}).items():
        os.chmod(where / path, mode)
    return where


@pytest.fixture
def package(tmp_path):
    """package() is a sound Custom package; package(files={…}, links={…}, fifos=[…], name="…")
    another. A config given as `config` replaces the sound one's fields; None as a file's content
    leaves that file out."""
    def build(files=None, config=None, links=None, fifos=(), modes=None, name="package"):
        sound = {
            "model/config.json": {"model_algorithm": "test", "model_type": "Custom"}
                                 | (config or {}),
            "model/weights.bin": "weights",
        }
        wanted = {path: content for path, content in (sound | (files or {})).items()
                  if content is not None}
        return write_package(tmp_path / name, wanted, links, fifos, modes)
    return build
