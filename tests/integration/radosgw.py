"""A real S3 service (Ceph's radosgw over one monitor and one store in memory), started once for all
tests that ask for it. Two users: alice, and mallory, who has no right to anything of alice's.

    rgw.put("bucket", "key", b"…")     as alice
    rgw.request("GET", "/bucket/key", user="mallory")
"""
import contextlib
import datetime
import hashlib
import hmac
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph")
CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}/0]
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
public network = 127.0.0.0/8
run dir = {where}/run
admin socket = {where}/run/$cluster-$name.asok
log file = {where}/log/$name.log
pid file = {where}/run/$name.pid
keyring = {where}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
mon allow pool size one = true
osd crush chooseleaf type = 0
mon max pg per osd = 1000
mon data avail crit = 1
setuser match path =
[mon.a]
mon data = {where}/mon
public addr = v2:127.0.0.1:{monitor}/0
[osd]
osd data = {where}/osd
keyring = {where}/osd/keyring
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw.a]
rgw data = {where}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
rgw run sync thread = false
rgw enable usage log = false
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("the object store does not start")


class Rgw:
    def __init__(self):
        self.where = Path(tempfile.mkdtemp(prefix="rgw-", dir="/tmp"))  # sockets want a short path
        self.port, self.monitor = free_port(), free_port()
        for name in ("mon", "osd", "rgw", "run", "log"):
            (self.where / name).mkdir()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def run(self, *command, check=True, **options):
        done = subprocess.run([str(part) for part in command], cwd=self.where, capture_output=True,
                              text=True, timeout=60, **options)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def ceph(self, *words, **options):
        return self.run("ceph", "-c", "ceph.conf", *words, **options)

    def start(self):
        uuid = Path("/proc/sys/kernel/random/uuid")
        fsid, osd = uuid.read_text().strip(), uuid.read_text().strip()
        (self.where / "ceph.conf").write_text(CONFIGURATION.format(
            fsid=fsid, where=self.where, port=self.port, monitor=self.monitor))
        self.run("ceph-authtool", "--create-keyring", "keyring", "--gen-key", "-n", "mon.", "--cap",
                 "mon", "allow *")
        for name, more in (("client.admin", ["--cap", "mgr", "allow *"]), ("client.rgw.a", [])):
            self.run("ceph-authtool", "keyring", "--gen-key", "-n", name, "--cap", "mon", "allow *",
                     "--cap", "osd", "allow *", *more)
        self.run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{self.monitor}]", "--fsid",
                 fsid, "monmap")
        self.run("ceph-mon", "-c", "ceph.conf", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring",
                 "keyring")
        self.run("ceph-mon", "-c", "ceph.conf", "-i", "a")
        until(lambda: self.ceph("mon", "stat", check=False).returncode == 0)
        self.ceph("osd", "new", osd)
        key = self.run("ceph-authtool", "--gen-print-key").stdout.strip()
        (self.where / "osd/keyring").write_text(f"[osd.0]\n key = {key}\n")
        self.ceph("auth", "add", "osd.0", "osd", "allow *", "mon", "allow profile osd", "-i",
                  "osd/keyring")
        self.run("ceph-osd", "-c", "ceph.conf", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.ceph("osd", "crush", "add", "osd.0", "1", "root=default", "host=h")
        self.run("ceph-osd", "-c", "ceph.conf", "-i", "0")
        until(lambda: "1 up" in self.ceph("osd", "stat", check=False).stdout)
        self.start_gateway()
        for user in ("alice", "mallory"):
            self.run("radosgw-admin", "-c", "ceph.conf", "user", "create", f"--uid={user}",
                     f"--display-name={user}", f"--access-key=AK{user}", f"--secret-key=SK{user}")

    def start_gateway(self):
        self.run("radosgw", "-c", "ceph.conf", "-n", "client.rgw.a")
        until(self.answers)

    def stop_gateway(self):
        for path in (self.where / "run").glob("*rgw*.pid"):
            self.end(int(path.read_text()))

    def answers(self):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2).close()
            return True
        return False

    @staticmethod
    def end(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.05)
            os.kill(pid, signal.SIGKILL)

    def stop(self):
        for path in sorted((self.where / "run").glob("*.pid"), reverse=True):
            with contextlib.suppress(ValueError):
                self.end(int(path.read_text()))
        shutil.rmtree(self.where, ignore_errors=True)

    # -- as a client: a second implementation of the signature --

    def request(self, method, path, body=b"", user="alice", query=None, headers=None):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        pairs = sorted((urllib.parse.quote(key, safe="-_.~"), urllib.parse.quote(value, safe="-_.~"))
                       for key, value in (query or {}).items())
        search = "&".join("=".join(pair) for pair in pairs)
        escaped = urllib.parse.quote(path, safe="/-_.~")
        payload = hashlib.sha256(body).hexdigest()
        signed = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": payload, "x-amz-date": now}
        signed |= {key.lower(): value for key, value in (headers or {}).items()}
        names = ";".join(sorted(signed))
        canonical = "\n".join([method, escaped, search,
                               *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names, payload])
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4SK{user}".encode()
        for part in (now[:8], "us-east-1", "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{escaped}" + (f"?{search}" if search else ""),
            data=body if method in ("PUT", "POST") else None, method=method,
            headers={**signed, "Authorization": f"AWS4-HMAC-SHA256 Credential=AK{user}/{scope},"
                                                f"SignedHeaders={names},Signature={signature}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def make(self, bucket, user="alice"):
        status, body = self.request("PUT", f"/{bucket}", user=user)
        assert status == 200, body
        return bucket

    def put(self, bucket, key, content, user="alice"):
        status, body = self.request("PUT", f"/{bucket}/{key}", content, user=user)
        assert status == 200, body

    def put_folder(self, bucket, prefix, folder):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix}/{path.relative_to(folder)}", path.read_bytes())


@pytest.fixture(scope="session")
def rgw():
    if not all(map(shutil.which, PROGRAMS)):
        pytest.skip("ceph's radosgw is not installed")
    running = Rgw()
    yield running
    running.stop()


@pytest.fixture
def bucket(rgw):
    """A new bucket of alice's."""
    return rgw.make(f"b{os.urandom(6).hex()}")
