"""`waybill import DIR --server URL`: the folder is sent, imported there, and followed."""
import json
import os
import select
import signal
import socket
import threading
import time

import pytest

from conftest import finish
from serving import Server

MIB = 1 << 20


@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=0.001")
    yield server
    assert server.stop() == 0


@pytest.fixture
def client(waybill_at, server):
    """A waybill whose data directory is never made."""
    client = waybill_at("client")
    client.environment.pop("WAYBILL_DATA")
    client.environment["HOME"] = str(client.data)
    client.environment["WAYBILL_SERVER"] = f"http://{server.netloc}"
    return client


def uploads(server):
    where = server.waybill.data / "uploads"
    return sorted(os.listdir(where)) if where.exists() else []


def test_a_folder_is_imported_as_if_it_were_here(server, client, package, waybill_at, base_layout):
    files = {"model/deep/er/w.bin": "x" * 300_000, "model/\u4e2d\u6587 %41.txt": "y",
             "model/empty": "", ".waybillignore": "*.log\n", "model/train.log": "no",
             "model/.DS_Store": "left over"}
    source = package(files)
    done = client.run("import", source, "--name", "m", "--description", "far away", "--json")
    assert done.returncode == 0, str(done)
    assert done.reasons[0] == "ImportStarted" and done.reasons[-1] == "ModelImported"
    local = waybill_at("local")
    local.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    here = local.run("import", source, "--name", "m", "--description", "far away", "--json")
    assert here.events[-1]["evidence"]["digest"] == done.events[-1]["evidence"]["digest"]
    [item] = server.get("/models").json["models"]
    assert (item["model_version"], item["description"]) == ("0.0.1", "far away")
    assert not client.data.exists()
    again = client.run("import", source, "--name", "m", "--json")  # the next version
    assert again.returncode == 0 and len(again.events) == len(done.events), str(again)
    assert {item["model_version"] for item in server.get("/models").json["models"]} == {
        "0.0.1", "0.0.2"}
    taken = client.run("import", source, "--name", "m", "--version", "0.0.2")
    assert taken.returncode == 2 and "0.0.2 of m is taken" in taken.stderr, str(taken)


def test_a_failed_import_ends_with_its_answer(server, client, package):
    source = package({"model/config.json": '{\n "model_type": "Custom",\n "model_algorithm": 7\n}'})
    failed = client.run("import", source, "--name", "m")
    assert failed.returncode == 1, str(failed)
    assert "model/config.json:3" in failed.stdout and "ImportFailed" not in failed.stderr
    assert "retry" in failed.stdout and str(server.waybill.data) not in failed.stdout
    sarif = client.run("import", source, "--name", "n", "--format", "sarif")
    assert sarif.returncode == 1 and json.loads(sarif.stdout)["runs"][0]["results"], str(sarif)


def test_what_cannot_be_packed_is_said_before_anything_is_sent(server, client, package, tmp_path):
    outside = package(links={"model/link": "/etc/passwd"})
    refused = client.run("import", outside, "--name", "m")
    assert refused.returncode == 1 and "model/link" in refused.stderr, str(refused)
    assert "nothing was sent" in refused.stderr
    (tmp_path / "none").mkdir()
    missing = client.run("import", tmp_path / "none", "--name", "m")
    assert missing.returncode == 1 and str(tmp_path / "none") in missing.stderr
    untyped = client.run("import", package({"model/config.json": {}}, name="untyped"))
    assert untyped.returncode == 2 and "--type" in untyped.stderr
    assert uploads(server) == [] and server.get("/models").json["count"] == 0


@pytest.mark.parametrize("arguments, why", [
    (["--platform", "linux/amd64"], "--platform"), (["--if-exists", "retry"], "--if-exists retry")])
def test_what_the_server_decides_is_refused(client, package, arguments, why):
    refused = client.run("import", package(), *arguments)
    assert refused.returncode == 2 and why in refused.stderr


def test_detached_it_says_what_it_made(client, package, server):
    done = client.run("import", package(), "--name", "m", "--detach", "--json", check=True)
    server.settled(done.events[0]["model_id"])
    assert done.events[0]["model_version"] == "0.0.1"


class Cutting:
    """Between client and server; cuts a connection after so many bytes of it, as often as that, or
    holds it there until `hold` is set."""

    def __init__(self, netloc, after, cuts, hold=None):
        self.hold, self.held = hold, threading.Event()
        self.host, port = netloc.rsplit(":", 1)
        self.port, self.after, self.cuts, self.passed = int(port), after, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(near,), daemon=True).start()

    def pass_on(self, near):
        sent = 0
        with near, socket.create_connection((self.host, self.port)) as far:
            while True:
                for one in select.select([near, far], [], [])[0]:
                    try:
                        data = one.recv(65536)
                        (far if one is near else near).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    if one is near:
                        sent += len(data)
                        self.passed += len(data)
                    if self.hold and sent > self.after:
                        self.held.set()
                        self.hold.wait(60)
                    if sent > self.after and self.cuts > 0:
                        self.cuts -= 1
                        return


def test_a_broken_connection_is_gone_on_with(server, client, package):
    source = package()
    (source / "model/w.bin").write_bytes(os.urandom(24 * MIB))
    cutting = Cutting(server.netloc, 7 * MIB, 2)
    client.environment["WAYBILL_SERVER"] = cutting.url
    done = client.run("import", source, "--name", "m", "--json")
    cutting.listener.close()
    assert done.returncode == 0, str(done)
    assert cutting.cuts == 0 and cutting.passed < 30 * MIB  # and not from its beginning


@pytest.fixture
def held(server, client, package):
    """An import whose upload of 32 MiB is held after 20 of them: its process, its source, what
    lets it go on."""
    source, go_on = package(), threading.Event()
    (source / "model/w.bin").write_bytes(os.urandom(32 * MIB))
    between = Cutting(server.netloc, 20 * MIB, 0, go_on)
    client.environment["WAYBILL_SERVER"] = between.url
    process = client.start("import", source, "--name", "m", "--json")
    assert between.held.wait(20)
    yield process, source, go_on
    go_on.set()
    between.listener.close()


def test_the_same_command_after_ctrl_c_goes_on(server, client, held):
    process, source, go_on = held
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130 and "the same command goes on" in stderr, (status, stderr)
    go_on.set()
    assert len(uploads(server)) == 1
    between = Cutting(server.netloc, 0, 0)
    client.environment["WAYBILL_SERVER"] = between.url
    done = client.run("import", source, "--name", "m", "--json")
    between.listener.close()
    assert done.returncode == 0, str(done)
    assert between.passed < 14 * MIB
    end = time.monotonic() + 10
    while uploads(server) and time.monotonic() < end:
        time.sleep(0.02)
    assert not uploads(server)


def test_a_killed_server_is_waited_for(server, held):
    process, _, go_on = held
    server.stop(signal.SIGKILL)
    go_on.set()
    server.start()
    status, stdout, stderr = finish(process)
    assert status == 0, (status, stdout, stderr)
    assert json.loads(stdout.splitlines()[-1])["reason"] == "ModelImported"


def test_a_limit_of_the_server_is_told(waybill_at, base_layout, tmp_path, package):
    far, client = waybill_at("far"), waybill_at("near")
    server = Server(far, tmp_path, "--set", "upload.limit_gib=0.001",
                    "--set", "upload.min_free_gib=0.001")
    try:
        source = package()
        (source / "model/w.bin").write_bytes(b"x" * 3 * MIB)
        refused = client.run("import", source, "--server", f"http://{server.netloc}",
                             env={"WAYBILL_DATA": ""})
        assert refused.returncode == 2 and "upload.limit_gib" in refused.stderr, str(refused)
    finally:
        assert server.stop() == 0


def test_no_server_and_no_url(client, package):
    gone = client.run("import", package(), env={"WAYBILL_SERVER": "http://127.0.0.1:9"})
    assert gone.returncode == 3 and "cannot be reached" in gone.stderr, str(gone)
    bad = client.run("import", package(), env={"WAYBILL_SERVER": "ftp://x"})
    assert bad.returncode == 2 and "expected an address" in bad.stderr, str(bad)
