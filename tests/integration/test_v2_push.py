"""Pushes to /v2/ that break off, meet each other, or meet gc; and what is kept of what was pushed."""
import json
import os
import random
import signal
import socket
import sqlite3
import threading

import pytest

from conftest import wait_for
from oci_layout import USERS, entry, write_layout
from v2_client import Registry, answer_of, code, digest_of
from serving import Server
from wholeness import assert_store

MIB = 1 << 20
LARGE = 64 * MIB


@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=0.001")
    yield server
    assert server.stop() == 0


@pytest.fixture
def registry(server):
    return Registry(server)


@pytest.fixture(scope="module")
def large():
    return random.Random(7).randbytes(LARGE)


def partial(waybill):
    return sorted(os.listdir(waybill.data / "images" / "partial"))


# -- going on --

@pytest.mark.parametrize("says_where", [True, False])
def test_a_push_that_is_cut_goes_on_from_there(registry, large, says_where):
    location, sent = registry.start(), 0
    for until in (LARGE // 4, LARGE // 2, LARGE * 3 // 4):
        at = registry.offset(location)
        part = large[at:until + 12345]
        where = {"Content-Range": f"{at}-{LARGE - 1}"} if says_where else {}
        registry.cut_after(location, part, LARGE - at, where)
        sent += len(part)
    at = registry.offset(location)
    sent += LARGE - at
    answer = registry.at("PATCH", location, large[at:])
    assert answer.status == 202, str(answer)
    assert registry.at("PUT", location, digest=digest_of(large)).status == 201
    assert sent <= 1.1 * LARGE
    assert registry.ask("GET", "/blobs/" + digest_of(large)).body == large


def test_a_chunked_stream_that_is_cut_keeps_what_arrived(registry, ready):
    location, data = registry.start(), b"stream" * 20000
    connection = registry.begin("PATCH", location, data)
    wait_for(lambda: registry.offset(location) == len(data))
    connection.close()
    assert registry.at("PUT", location, b"end", digest=digest_of(data + b"end")).status == 201
    assert partial(ready) == []


def test_a_killed_server_goes_on_where_it_was(registry, server, large, ready):
    location = registry.start()
    half = LARGE // 2
    registry.begin("PATCH", location, large[:half], LARGE)
    wait_for(lambda: registry.offset(location) == half)
    server.stop(signal.SIGKILL)
    server.start()
    assert registry.offset(location) == half
    where = {"Content-Range": f"{half}-{LARGE - 1}"}
    assert registry.at("PUT", location, large[half:], where, digest=digest_of(large)).status == 201
    assert registry.ask("GET", "/blobs/" + digest_of(large)).body == large
    assert partial(ready) == []


def test_who_comes_back_first_goes_on_though_the_old_connection_is_open(registry):
    location = registry.start()
    old = registry.begin("PATCH", location, b"first", 1000)
    wait_for(lambda: registry.offset(location) == 5)
    answer = registry.at("PATCH", location, b"second", {"Content-Range": "5-10"})
    assert answer.status == 202, str(answer)
    old.send(b"x" * 995)
    assert code(answer_of(old)) == (409, "BLOB_UPLOAD_INVALID")
    data = b"firstsecond"
    assert registry.at("PUT", location, digest=digest_of(data)).status == 201


def test_a_blob_that_comes_in_one_post_and_breaks_off_leaves_nothing(registry, ready):
    temporary = ready.data / "images" / "tmp"
    target = f"/v2/{registry.name}/blobs/uploads/?digest={digest_of(b'x' * 1000)}"
    connection = registry.begin("POST", target, b"x" * 500, 1000)
    wait_for(lambda: os.listdir(temporary))
    connection.close()
    wait_for(lambda: not os.listdir(temporary))
    assert partial(ready) == []


def test_a_client_that_drips_is_served_beside_others(registry):
    location = registry.start()
    slow = registry.begin("PATCH", location, b"0", 10)
    for digit in range(1, 10):
        slow.send(str(digit).encode())
        assert registry.server.ask("GET", "/v2/").status == 200
    assert answer_of(slow).status == 202
    assert registry.at("PUT", location, digest=digest_of(b"0123456789")).status == 201


# -- at once --

def test_two_clients_push_the_same_blob_at_once(server, large):
    answers = []

    def push(name):
        registry = Registry(server, name)
        answers.append(registry.at("PUT", registry.start(), large, digest=digest_of(large)).status)

    threads = [threading.Thread(target=push, args=(name,))
               for name in ("default/one", "default/two", "other/one", "default/one")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 4
    assert Registry(server, "other/one").ask("GET", "/blobs/" + digest_of(large)).body == large


def test_gc_takes_nothing_from_a_push(registry, ready):
    stop, failures = threading.Event(), []

    def collect():
        while not stop.is_set():
            done = ready.run("gc", "--json")
            if done.returncode:
                failures.append(str(done))

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        images = {f"t{number}": registry.push_image(f"t{number}", (b"%d" % number * 1000,))
                  for number in range(15)}
    finally:
        stop.set()
        collector.join()
    assert not failures
    for tag, manifest in images.items():
        assert registry.ask("GET", f"/manifests/{tag}").body == manifest
        layer = json.loads(manifest)["layers"][0]["digest"]
        assert registry.ask("GET", f"/blobs/{layer}").status == 200


# -- limits --

def test_uploads_have_limits(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.limit_gib=0.001", "--set",
                    "upload.min_free_gib=0.001", "--set", "upload.max_open=2")
    registry, most = Registry(server), (1 << 30) // 1000
    try:
        location = registry.start()
        answer = registry.at("PATCH", location, b"x" * (most + 1))
        assert code(answer) == (413, "SIZE_INVALID")
        assert registry.offset(location) == 0
        connection = registry.begin("PATCH", location, b"y" * (most + 1))
        connection.send(b"0\r\n\r\n")
        assert code(answer_of(connection)) == (413, "SIZE_INVALID")
        registry.start()
        answer = registry.ask("POST", "/blobs/uploads/")
        assert code(answer) == (429, "TOOMANYREQUESTS") and "retry-after" in answer.headers
        assert Registry(server, "another/x").ask("POST", "/blobs/uploads/").status == 202
        with sqlite3.connect(ready.data / "waybill.db") as store:  # nobody has come back to it
            store.execute("UPDATE registry_uploads SET written_at = 1 WHERE id = ?",
                          (location.rsplit("/", 1)[1],))
        registry.start()
        assert code(registry.at("GET", location)) == (404, "BLOB_UPLOAD_UNKNOWN")
    finally:
        assert server.stop() == 0


def test_no_push_takes_the_last_of_the_disk(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=1000000")
    try:
        answer = Registry(server).ask("POST", "/blobs/uploads/")
        assert code(answer) == (507, "UNKNOWN")
        assert "upload.min_free_gib" in answer.json["errors"][0]["message"]
    finally:
        assert server.stop() == 0


# -- what is kept --

def test_what_was_pushed_is_kept_and_the_rest_is_collected(registry, ready):
    manifest = registry.push_image("1", (b"kept" * 100,))
    lone, left = registry.push_blob(b"no manifest needs it"), registry.start()
    registry.at("PATCH", left, b"never completed")
    assert ready.run("gc", "--json", check=True).events[0]["blobs"] == 0, "it may be pushed now"
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE registry_blobs SET pushed_at = 1")
        store.execute("UPDATE registry_uploads SET written_at = 1")
    would = ready.run("gc", "--dry-run", "--json", check=True).events[0]
    assert (would["blobs"], would["uploads"]) == (1, 1)
    assert registry.ask("HEAD", f"/blobs/{lone}").status == 200
    done = ready.run("gc", "--json", check=True).events[0]
    assert (done["blobs"], done["uploads"], partial(ready)) == (1, 1, [])
    assert registry.ask("GET", f"/blobs/{lone}").status == 404
    assert registry.ask("GET", "/blobs/" + digest_of(b"kept" * 100)).status == 200
    registry.ask("DELETE", "/manifests/" + digest_of(manifest))
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE registry_blobs SET pushed_at = 1")
    assert ready.run("gc", "--json", check=True).events[0]["blobs"] == 3


def test_index_json_has_what_was_pushed(registry, ready):
    def names():
        index = json.loads((ready.data / "images" / "index.json").read_text())
        return {item["annotations"]["org.opencontainers.image.ref.name"]: item["digest"]
                for item in index["manifests"]}

    before = names()
    manifest = registry.push_image("1")
    registry.push_image(None, (b"untagged",))
    assert names() == before | {"default/custom:1": digest_of(manifest)}
    registry.ask("DELETE", "/manifests/1")
    assert names() == before


def test_damage_is_found_and_mended_by_another_push(registry, ready):
    registry.push_image("1", (b"layer that breaks",))
    digest = digest_of(b"layer that breaks")
    path = ready.data / "images" / "blobs" / "sha256" / digest[7:]
    assert ready.run("verify").returncode == 0
    path.write_bytes(b"layer that br0ke!")
    found = ready.run("verify", "--drop-damaged")
    assert found.returncode == 1 and "default/custom" in found.stdout + found.stderr, str(found)
    assert not path.exists()
    assert registry.ask("HEAD", f"/blobs/{digest}").status == 404, "so that a push sends it"
    registry.push_image("1", (b"layer that breaks",))
    assert ready.run("verify").returncode == 0


def test_a_backup_has_what_was_pushed(registry, ready, waybill_at, tmp_path):
    manifest = registry.push_image("1", (b"in the backup",))
    ready.run("backup", tmp_path / "backup", check=True)
    restored = waybill_at("restored")
    restored.run("restore", tmp_path / "backup", check=True)
    server = Server(restored, tmp_path)
    try:
        other = Registry(server)
        assert other.ask("GET", "/manifests/1").body == manifest
        assert other.ask("GET", "/blobs/" + digest_of(b"in the backup")).body == b"in the backup"
    finally:
        assert server.stop() == 0


def test_space_counts_what_was_pushed(registry, server):
    registry.push_image("1", (b"x" * 100000,))
    Registry(server, "default/again").push_image("1", (b"x" * 100000,))
    space = server.ask("GET", "/v1/space").json
    [project] = [row for row in space["projects"] if row["project"] == "default"]
    assert 100000 < project["bytes"] < 110000, "each blob once"
    assert space["images"]["kept_bytes"] > 100000


def test_pushes_and_deletes_are_audited(registry, server):
    manifest = registry.push_image("1")
    registry.ask("DELETE", "/manifests/1")
    registry.ask("DELETE", "/manifests/" + digest_of(manifest))
    registry.ask("DELETE", "/blobs/" + digest_of(b"layer"))
    rows = server.ask("GET", "/v1/audit", project="default").json["entries"]
    seen = [(row["action"], row["object"]) for row in reversed(rows)]
    assert seen[-4:] == [
        ("image.push", "default/custom:1"), ("image.delete", "default/custom:1"),
        ("image.delete", "default/custom@" + digest_of(manifest)),
        ("blob.delete", "default/custom@" + digest_of(b"layer"))]


def test_a_store_stays_whole(registry, ready, server, package):
    registry.push_image("1")
    server.settled(server.create(package()).json["model_id"])
    assert_store(ready)


# -- Waybill's own client --

class SwallowingProxy:
    """Forwards to a server; behind each of `cuts` bytes of clients it takes `swallowed` more for
    itself and then cuts the connection, as what lies between two machines may."""

    def __init__(self, netloc, cuts, swallowed):
        host, port = netloc.split(":")
        self.to, self.cuts, self.swallowed = (host, int(port)), list(cuts), swallowed
        self.forwarded, self.lock = 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.netloc = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self.to)
            for pump, ends in ((self.up, (client, server)), (self.down, (server, client))):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    def up(self, client, server):
        try:
            while data := client.recv(1 << 18):
                server.sendall(data)
                with self.lock:
                    self.forwarded += len(data)
                    cut = self.cuts and self.forwarded >= self.cuts[0] and self.cuts.pop(0)
                if cut:
                    left = self.swallowed
                    while left > 0 and (data := client.recv(min(left, 1 << 18))):
                        left -= len(data)
                    break
        except OSError:
            pass
        self.end(client, server)

    def down(self, server, client):
        try:
            while data := server.recv(1 << 18):
                client.sendall(data)
        except OSError:
            pass
        self.end(client, server)

    @staticmethod
    def end(*sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()  # else what it holds unread leaves the client waiting


@pytest.mark.parametrize("swallowed", [0, 10 * MIB], ids=["at-once", "beyond-the-window"])
def test_waybill_copy_goes_on_after_cuts(server, ready, tmp_path, swallowed):
    entries = [entry("etc/passwd", USERS, mode=0o644),
               entry("big", random.Random(3).randbytes(LARGE))]
    write_layout(tmp_path / "big", entries, {"Cmd": ["sh"]})
    ready.run("import", f"oci:{tmp_path / 'big'}:latest", "--type", "Image", "--name", "big",
              check=True)
    proxy = SwallowingProxy(server.netloc, [LARGE // 4, LARGE // 2, LARGE * 3 // 4], swallowed)
    copied = ready.run("copy", "big:0.0.1", f"registry+http://{proxy.netloc}/default/copied:1")
    assert copied.returncode == 0, str(copied)
    assert proxy.cuts == []
    assert proxy.forwarded <= 1.1 * LARGE
    pulled = Registry(server, "default/copied").ask("GET", "/manifests/1")
    original = Registry(server, "default/big").ask("GET", "/manifests/0.0.1")
    assert pulled.body == original.body and pulled.status == 200
