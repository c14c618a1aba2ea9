"""A real registry (distribution 2.8, Debian's docker-registry) on a free port of loopback, with all
that it keeps in a directory of the test's own. It ends with the test, also when the tests are killed.

  Registry(where)             anybody may do anything
  Registry(where, "basic")    alice / s3cret, by htpasswd
  Registry(where, "token")    the same alice, through a token issuer (token_issuer.js)
  Registry(where, "tls")      a certificate of its own CA, `ca`, which `certificates` holds for skopeo

relative: its answers name no address of its own, for one that is also reached by another.
"""
import ctypes
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
USER, SECRET = "alice", "s3cret"
IDENTITY = "alices-identity"  # alice's, for the token issuer
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def end_with_us():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def wait_for_line(path, pattern, process, seconds=20):
    """The first group of the pattern, once the log has it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(pattern, path.read_text())
        if found:
            return found[1]
        assert process.poll() is None, path.read_text()
        time.sleep(0.02)
    raise AssertionError(path.read_text())


def make_certificate(where, names="IP:127.0.0.1"):
    """tls.crt and tls.key of these names; the certificate of their CA, alone in a directory."""
    where = Path(where)
    (where / "certificates").mkdir()
    ca, key = where / "certificates/ca.crt", where / "ca.key"
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run(*new, "-x509", "-keyout", key, "-out", ca, "-days", "2", "-subj", "/CN=tests' CA")
    run(*new, "-keyout", where / "tls.key", "-out", where / "tls.csr", "-subj", "/CN=registry")
    (where / "names").write_text(f"subjectAltName={names}\n")
    run("openssl", "x509", "-req", "-in", where / "tls.csr", "-CA", ca, "-CAkey", key, "-CAcreateserial",
        "-out", where / "tls.crt", "-days", "2", "-extfile", where / "names")
    return ca


class Registry:
    def __init__(self, where, mode="plain", token_seconds=300, relative=False):
        self.where, self.mode, self.processes = Path(where), mode, []
        self.where.mkdir(parents=True)
        self.ca = self.certificates = None
        try:
            configuration = {
                "version": "0.1", "log": {"level": "info"},
                "storage": {"filesystem": {"rootdirectory": str(self.where / "data")},
                            "delete": {"enabled": True}},
                "http": {"addr": "127.0.0.1:0", "relativeurls": relative} | self.make_tls()}
            configuration |= self.make_login(token_seconds)
            # JSON is YAML.
            (self.where / "config.yml").write_text(json.dumps(configuration))
            self.serve()
        except BaseException:
            self.stop()
            raise
        self.host = f"127.0.0.1:{self.port}"
        self.scheme = "" if mode == "tls" else "registry+http://"

    def serve(self):
        log, self.process = self.start("registry.log", "docker-registry", "serve", self.where / "config.yml")
        self.port = wait_for_line(log, r"listening on 127\.0\.0\.1:(\d+)", self.process)

    def restart(self, away_seconds=0):
        """On the port that it has."""
        self.process.kill()
        self.process.wait()
        time.sleep(away_seconds)
        configuration = json.loads((self.where / "config.yml").read_text())
        configuration["http"]["addr"] = f"127.0.0.1:{self.port}"
        (self.where / "config.yml").write_text(json.dumps(configuration))
        self.serve()

    def make_tls(self):
        if self.mode != "tls":
            return {}
        self.ca = make_certificate(self.where)
        self.certificates = self.ca.parent
        return {"tls": {"certificate": str(self.where / "tls.crt"), "key": str(self.where / "tls.key")}}

    def make_login(self, token_seconds):
        if self.mode == "basic":
            entry = run("htpasswd", "-Bbn", USER, SECRET)
            (self.where / "htpasswd").write_text(entry)
            return {"auth": {"htpasswd": {"realm": "test", "path": str(self.where / "htpasswd")}}}
        if self.mode != "token":
            return {}
        certificate = self.where / "issuer.crt"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
            self.where / "issuer.key", "-out", certificate, "-days", "2", "-subj", "/CN=issuer")
        log, process = self.start("issuer.log", "node", HERE / "token_issuer.js", self.where,
                                  token_seconds)
        port = wait_for_line(log, r"^(\d+)\n", process)
        return {"auth": {"token": {
            "realm": f"http://127.0.0.1:{port}/token", "service": "test-registry",
            "issuer": "test-issuer", "rootcertbundle": str(certificate)}}}

    def start(self, log, *command):
        log = self.where / log
        with open(log, "w") as output:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, preexec_fn=end_with_us)
        self.processes.append(process)
        return log, process

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- what is done there --

    def reference(self, place="team/app:1"):
        """As Waybill takes it."""
        return f"{self.scheme}{self.host}/{place}"

    def push(self, layout, place="team/app:1", *options):
        """By skopeo, a layout's tag `latest`; its digest there."""
        trust = (["--dest-cert-dir", self.certificates] if self.mode == "tls"
                 else ["--dest-tls-verify=false"])
        login = ["--dest-creds", f"{USER}:{SECRET}"] if self.mode in ("basic", "token") else []
        digest = self.where / "pushed"
        run("skopeo", "copy", "--all", "--digestfile", digest, *trust, *login, *options,
            f"oci:{layout}:latest", f"docker://{self.host}/{place}",
            env=os.environ | {"REGISTRY_AUTH_FILE": "/nowhere/auth.json"})
        return digest.read_text().strip()

    def delete(self, repository, digest):
        run("curl", "-sfX", "DELETE", f"http://{self.host}/v2/{repository}/manifests/{digest}")


def auth_file(where, **hosts):
    """A file of logins (containers-auth.json): auth_file(path, **{HOST: (USER, SECRET)})"""
    import base64
    auths = {host: {"auth": base64.b64encode(":".join(login).encode()).decode()}
             for host, login in hosts.items()}
    Path(where).write_text(json.dumps({"auths": auths}))
    return where


@pytest.fixture(scope="module")
def registry_at(tmp_path_factory):
    """registry_at(MODE, …): one for each mode and module; all of them end with it."""
    running = {}

    def start(mode="plain", **options):
        key = (mode, *options.items())
        if key not in running:
            running[key] = Registry(tmp_path_factory.mktemp("registry") / mode, mode, **options)
        return running[key]
    yield start
    for registry in running.values():
        registry.stop()
