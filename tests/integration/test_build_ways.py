"""Ways of building an environment that the others do not take: a disk in memory, the host's network, a
proxy on the way to the index, conda."""
import base64
import contextlib
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.request
from urllib.parse import urlsplit

import pytest

from corpus_runner import assert_answered
from environments import (Index, builder, bring, failed, fresh_builder, index, left_behind,
                          make_builder, python_layout, sdist, wheel)  # noqa: F401
from oci_layout import entry
from python_base import derive
from test_build_failures import certificate  # noqa: F401

SEE_LOG = "ImageBuildFailedSeeLog"


def environment_layer(waybill, name):
    shown = json.loads(waybill.run("show", name, "--json", check=True).stdout)
    [layer] = [layer for layer in shown["layers"] if layer["origin"] == "environment"]
    return layer["digest"]


# -- the disk --

def without_mkfs(waybill, *arguments, env=None):
    """Runs it where mkfs.ext4 cannot be executed."""
    hide = "".join(f"mount --bind /dev/null {path}; " for path in ("/usr/sbin/mkfs.ext4",
                                                                    "/sbin/mkfs.ext4"))
    return subprocess.run(["unshare", "--mount", "sh", "-ec", hide + 'exec "$0" "$@"',
                           waybill.program, *map(str, arguments)],
                          env=waybill.environment | (env or {}), capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
def test_a_disk_in_memory_where_there_is_no_mkfs(builder, package):
    file = wheel("inmemory")
    source = bring(package, [file[0]], [file])
    builder.run("import", source, "--name", "ext4", check=True)
    assert "disk ext4" in builder.run("log", "ext4").stdout
    done = without_mkfs(builder, "import", source, "--name", "tmpfs", "--no-cache")
    assert done.returncode == 0, done
    assert "disk tmpfs" in builder.run("log", "tmpfs").stdout
    assert environment_layer(builder, "tmpfs") == environment_layer(builder, "ext4")
    assert not left_behind(builder)


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed")
def test_a_disk_in_memory_is_limited_too(builder, package, index):
    index.add(sdist("fills", before="open('/var/filler', 'wb').write(bytes(300 << 20))"))
    done = without_mkfs(builder, "import", bring(package, ["fills==1.0"]), "--name", "fills",
                        "--json", "--set", "build.disk_mib=64", env=index.env)
    assert done.returncode == 1, done
    [told] = [event for event in map(json.loads, done.stdout.splitlines())
              if event["reason"] == SEE_LOG]
    assert told["kind"] == "disk" and told["evidence"]["disk_limit"] == 64
    assert not left_behind(builder)


# -- the host's network --

def test_the_hosts_network_is_the_hosts(builder, package, index):
    """What a proxy would not let through: any port, without HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        index.add(sdist("callshome", before="import socket\nsocket.create_connection("
                                            f"('127.0.0.1', {port}), 5).sendall(b'hello')"))
        source = bring(package, ["callshome==1.0"])
        assert builder.run("import", source, "--name", "boxed", env=index.env).returncode == 1
        builder.run("import", source, "--name", "open", check=True,
                    env=index.env | {"WAYBILL_BUILD_NETWORK": "host"})
        assert listening.accept()[0].recv(5) == b"hello"
    assert "network host" in builder.run("log", "open").stdout
    assert not left_behind(builder)


# -- a proxy above --

class Upstream:
    """A forward proxy: every name is 127.0.0.1 to it. asked: (method, target, login)."""

    def __init__(self):
        self.asked, upstream = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def record(self):
                upstream.asked.append((self.command, self.path,
                                       self.headers.get("Proxy-Authorization")))

            def do_GET(self):
                self.record()
                target = urlsplit(self.path)
                request = urllib.request.Request(f"http://127.0.0.1:{target.port}{target.path}")
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(request) as answer:
                    body = answer.read()
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.headers["Content-Type"])
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def do_CONNECT(self):
                self.record()
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(("127.0.0.1", int(self.path.split(":")[1]))) as far:
                    back = threading.Thread(target=pump, args=(far, self.connection), daemon=True)
                    back.start()
                    pump(self.connection, far)
                    back.join(10)
                self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def upstream():
    running = Upstream()
    yield running
    running.server.shutdown()
    running.server.server_close()


LOGIN = "Basic " + base64.b64encode(b"robot:hunter2secret").decode()


@pytest.mark.parametrize("network", ["", "host"])
def test_a_proxy_on_the_way_to_a_plain_index(builder, package, index, upstream, network):
    """No resolver knows the index's name: the proxy does."""
    index.add(wheel(f"plain{network}"))
    name = f"upper{network}"
    env = {"WAYBILL_BUILD_NETWORK": network,
           "WAYBILL_BUILD_PIP_INDEX_URL": f"http://index.invalid:{index.port}/simple",
           "WAYBILL_BUILD_PIP_TRUSTED_HOST": "index.invalid 127.0.0.1",
           "WAYBILL_BUILD_HTTP_PROXY": f"http://robot:hunter2secret@{upstream.address}"}
    # The index's links are absolute paths: they lead to its own name again.
    done = builder.run("import", bring(package, [f"plain{network}==1.0"]), "--name", name, env=env)
    assert done.returncode == 0, str(done) + builder.run("log", name).stdout
    assert ("GET", f"http://index.invalid:{index.port}/simple/plain{network}/", LOGIN) in \
        upstream.asked
    told = "".join(builder.run(*words, env=env).stdout for words in
                   [("log", name), ("events", name, "--json"), ("report", name)])
    assert "hunter2secret" not in told


@pytest.mark.parametrize("network", ["", "host"])
def test_a_proxy_on_the_way_to_an_index_with_tls(builder, package, certificate, upstream, network):
    index = Index(certificate=certificate).add(wheel(f"sealed{network}"))
    name = f"tunnel{network}"
    env = {"WAYBILL_BUILD_NETWORK": network, "WAYBILL_BUILD_PIP_INDEX_URL": index.url,
           "WAYBILL_BUILD_CA_FILE": str(certificate[0]),
           "WAYBILL_BUILD_HTTPS_PROXY": f"http://robot:hunter2secret@{upstream.address}"}
    done = builder.run("import", bring(package, [f"sealed{network}==1.0"]), "--name", name, env=env)
    assert done.returncode == 0, str(done) + builder.run("log", name).stdout
    assert ("CONNECT", f"127.0.0.1:{index.port}", LOGIN) in upstream.asked
    assert f"/simple/sealed{network}/" in index.asked
    index.stop()


@pytest.mark.parametrize("network", ["", "host"])
def test_what_is_reached_without_the_proxy(builder, package, index, upstream, network):
    index.add(wheel(f"direct{network}"))
    env = index.env | {"WAYBILL_BUILD_NETWORK": network,
                       "WAYBILL_BUILD_HTTP_PROXY": f"http://{upstream.address}",
                       "WAYBILL_BUILD_NO_PROXY": "example.org, 127.0.0.1"}
    builder.run("import", bring(package, [f"direct{network}==1.0"]), "--name", f"direct{network}",
                env=env, check=True)
    assert f"/simple/direct{network}/" in index.asked and not upstream.asked


def test_a_proxy_that_is_away(builder, package, index):
    """The index is not asked behind its back."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    index.add(wheel("unreached"))
    told = failed(builder, bring(package, ["unreached==1.0"]), SEE_LOG, "index_away", "noproxy",
                  env=index.env | {"WAYBILL_BUILD_HTTP_PROXY": f"http://127.0.0.1:{nobody}"})
    assert not index.asked
    assert_answered(builder, told)


# -- conda --

CONDA = """#!/usr/bin/python3
import json, os, sys
with open("/opt/conda/asked.json", "a") as asked:
    asked.write(json.dumps({"argv": sys.argv[1:], "proxy": os.environ.get("https_proxy")}) + "\\n")
print("Solving environment: done")
if "faraway" in sys.argv:
    print("CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://conda.invalid/noarch>")
    sys.exit(1)
if "nosuch" in sys.argv:
    print("PackagesNotFoundError: The following packages are not available from current channels:")
    print("\\n  - nosuch\\n")
    sys.exit(1)
"""


@pytest.fixture
def conda_builder(tmp_path, python_layout):
    layout = derive(tmp_path / "conda", [entry("opt/conda"), entry("opt/conda/bin"),
                                         entry("opt/conda/bin/conda", CONDA)],
                    Env=["PATH=/opt/conda/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"])
    waybill = make_builder(tmp_path / "data", layout)
    yield waybill
    assert not left_behind(waybill)


def test_conda_is_asked_in_its_own_words(conda_builder, package):
    rows = [{"package_name": "numpy", "package_version": "1.26.4", "restraint": "EXACT"},
            {"package_name": "scipy", "package_version": "1.11", "restraint": "ATLEAST"},
            {"package_name": "pandas", "package_version": "2.1", "restraint": "ATMOST"},
            {"package_name": "cudatoolkit"}]
    source = bring(package, [{"installer": "conda", "packages": rows}])
    conda_builder.run("import", source, "--name", "m", check=True)
    digest = environment_layer(conda_builder, "m")
    blob = conda_builder.data / "images/blobs" / digest.replace(":", "/")
    asked = subprocess.run(["tar", "xOf", blob, "opt/conda/asked.json"], capture_output=True,
                           check=True).stdout
    assert [json.loads(line)["argv"] for line in asked.splitlines()] == [
        ["install", "--yes", "--quiet", "numpy==1.26.4", "scipy>=1.11", "pandas<=2.1",
         "cudatoolkit"]]
    assert "Solving environment: done" in conda_builder.run("log", "m").stdout


def test_what_conda_refuses_is_in_the_event(conda_builder, package):
    told = failed(conda_builder, bring(package, ["nosuch"], installer="conda"), SEE_LOG, "command",
                  "m")
    assert told["evidence"]["exit_status"] == 1
    assert any("nosuch" in line or "PackagesNotFoundError" in line
               for line in told["evidence"]["error_lines"]), told
    assert_answered(conda_builder, told)


def test_conda_without_a_network_is_told_what_lets_it_out(conda_builder, package):
    told = failed(conda_builder, bring(package, ["faraway"], installer="conda"), SEE_LOG,
                  "no_network", "m")
    assert told["evidence"]["setting"] == "build.network_hosts"
    assert told["summary"].startswith("faraway must be downloaded")
    assert_answered(conda_builder, told)


def test_a_base_without_conda_says_so(builder, package):
    told = failed(builder, bring(package, ["cudatoolkit"], installer="conda"), SEE_LOG,
                  "no_installer", "nocondathere")
    assert "conda" in told["summary"] and "conda" in told["summary_cn"]
    assert_answered(builder, told)
