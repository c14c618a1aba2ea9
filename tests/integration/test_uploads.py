"""Uploads: packages that clients send file by file, whole or in parts, and import as upload://ID."""
import hashlib
import json
import os
import signal
import sqlite3
import threading
import uuid
from urllib.parse import quote

import pytest

from conftest import wait_for
from corpus_runner import assert_answered
from serving import Server
from wholeness import assert_store

MIB = 1 << 20
DAY_MS = 86400_000


@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=0.001")
    yield server
    assert server.stop() == 0


class Upload:
    """One upload of a project, as a client sees it."""

    def __init__(self, server, project="default", upload_id=None):
        self.server, self.project = server, project
        base = f"/v1/{project}/uploads"
        made = server.ask("PUT", f"{base}/{upload_id}") if upload_id else server.ask("POST", base)
        assert made.status == 200, made
        self.made = made.json
        self.id = made.json["upload_id"]
        self.path = f"{base}/{self.id}"

    def put(self, name, body, **headers):
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.server.ask("PUT", f"{self.path}/{name}", body,
                               {"Content-Type": "application/octet-stream"} | headers)

    def put_part(self, name, body, at, total):
        return self.put(name, body, Content_Range=f"bytes {at}-{at + len(body) - 1}/{total}")

    def offset(self, name):
        answer = self.server.ask("HEAD", f"{self.path}/{name}")
        return answer.status == 200 and int(answer.headers["upload-offset"])

    def put_folder(self, folder):
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                answer = self.put(quote(file.relative_to(folder).as_posix()), file.read_bytes())
                assert answer.status == 200, answer

    def files(self):
        answer = self.server.ask("GET", self.path)
        assert answer.status == 200, answer
        return {file["path"]: (file["size"], file["bytes_received"], file["complete"])
                for file in answer.json["files"]}

    def create(self, **fields):
        body = {"model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
                "source_location": f"upload://{self.id}"} | fields
        return self.server.ask("POST", f"/v1/{self.project}/models", body)


def begin_put(upload, name, total, sent, **headers):
    """A connection on which a PUT of so many bytes has begun, and so many were sent."""
    connection = upload.server.connection()
    connection.putrequest("PUT", f"{upload.path}/{name}")
    connection.putheader("Content-Length", str(total))
    for key, value in headers.items():
        connection.putheader(key.replace("_", "-"), value)
    connection.endheaders()
    connection.send(sent)
    return connection


def events_text(server, model_id):
    return server.get(f"/models/{model_id}/events").body.decode()


def directories(waybill):
    where = waybill.data / "uploads"
    return sorted(os.listdir(where)) if where.exists() else []


def test_an_uploaded_package_is_the_image_of_the_same_folder(server, package, ready, waybill_at,
                                                            base_layout):
    source = package()
    (source / "model/run.sh").write_bytes(b"#!/bin/sh\n")
    (source / "model/run.sh").chmod(0o755)  # a mode is nothing of a package's
    (source / "model/deep/er").mkdir(parents=True)
    (source / "model/deep/er/empty").write_bytes(b"")
    (source / "model/name with spaces and \u4e2d\u6587 %.bin").write_bytes(b"x")
    upload = Upload(server)
    upload.put_folder(source)
    created = upload.create()
    assert created.status == 200, created
    details = server.settled(created.json["model_id"])
    assert details["model_status"] == "published", details
    assert details["source_location"] == f"upload://{upload.id}"
    local = waybill_at("local")
    local.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    imported = local.run("import", source, "--name", "m", "--version", "0.0.1", "--json", check=True)
    assert details["image_digest"] == imported.events[-1]["evidence"]["digest"]
    # An imported upload is gone, with all that it took.
    assert server.ask("GET", upload.path).status == 404
    assert wait_for(lambda: directories(ready) == [])
    assert_store(ready)


def test_a_file_arrives_in_parts_and_head_tells_how_far(server):
    upload, content = Upload(server), os.urandom(3 * MIB)
    digest = hashlib.sha256(content).hexdigest()
    assert upload.offset("model/w.bin") is False
    first = upload.put_part("model/w.bin", content[:MIB], 0, len(content))
    assert (first.status, first.json["complete"], first.headers["upload-offset"]) == (
        200, False, str(MIB))
    assert upload.offset("model/w.bin") == MIB
    assert upload.files() == {"model/w.bin": (3 * MIB, MIB, False)}
    early = upload.create()
    assert (early.status, early.json["error_code"]) == (400, "ModelArts.3017")
    assert "model/w.bin has not arrived whole" in early.json["error_msg"]
    for wrong in (0.5, 2):
        answer = upload.put_part("model/w.bin", content[:10], int(wrong * MIB), len(content))
        assert (answer.status, answer.headers["upload-offset"]) == (416, str(MIB)), answer
    other_total = upload.put_part("model/w.bin", content[MIB:2 * MIB], MIB, 4 * MIB)
    assert other_total.status == 409, other_total
    last = upload.put("model/w.bin", content[MIB:], X_Content_Sha256=digest,
                      Content_Range=f"bytes {MIB}-{3 * MIB - 1}/{3 * MIB}")
    assert (last.status, last.json["complete"]) == (200, True), last
    assert upload.files() == {"model/w.bin": (3 * MIB, 3 * MIB, True)}
    answer = upload.put_part("model/w.bin", b"x", 3 * MIB - 1, 3 * MIB)
    assert (answer.status, answer.headers["upload-offset"]) == (416, str(3 * MIB))


@pytest.mark.parametrize("header, value", [
    ("Content_Range", "bytes 0-3/*"), ("Content_Range", "bytes 3-0/4"), ("Content_Range", "0-3/4"),
    ("Content_Range", "bytes 0-4/5"), ("Content_Range", "bytes 0-3/2"),
    ("Content_Range", "bytes 0-3/4 "+"9" * 30), ("Content_Range", "bytes -1-2/4"),
    ("X_Content_Sha256", "abc")])
def test_a_header_without_sense_is_named(server, header, value):
    upload = Upload(server)
    answer = upload.put("model/a", b"1234", **{header: value})
    assert answer.status == 400 and "expected" in answer.json["error_msg"] or (
        "Content-Length is 4" in answer.json["error_msg"]), answer
    assert upload.files() == {}


def test_a_wrong_digest_drops_the_file(server):
    upload = Upload(server)
    good = hashlib.sha256(b"good").hexdigest()
    assert upload.put("model/a", b"good", X_Content_Sha256=good.upper()).status == 200
    answer = upload.put("model/a", b"evil", X_Content_Sha256=good)
    assert answer.status == 400 and hashlib.sha256(b"evil").hexdigest() in answer.json["error_msg"]
    assert upload.files() == {} and upload.offset("model/a") is False
    assert upload.put("model/a", b"good", X_Content_Sha256=good).status == 200


@pytest.mark.parametrize("name, why", [
    ("model/../../x", "segment"), ("model/..%2f..%2fx", "segment"), ("model/%2e%2e/x", "segment"),
    ("model//x", "empty"), ("model/x/", "empty"), ("model/a%00b", "percent-encoding"),
    ("model/a%0ab", "control character"), ("model/%ff", "percent-encoding"), ("model/./x", "segment"),
    ("model/" + "n" * 256, "over 255 bytes"), ("%2fetc/passwd", "segment")])
def test_names_are_checked_as_those_of_a_package(server, ready, name, why):
    upload = Upload(server)
    answer = upload.put(name, b"x")
    assert answer.status == 400 and why in answer.json["error_msg"], answer
    assert upload.files() == {} and directories(ready) == []


def test_a_name_is_a_file_or_a_directory(server):
    upload = Upload(server)
    assert upload.put("model/a", b"1").status == 200
    assert upload.put("model/a/b", b"2").status == 409
    assert upload.put("model", b"3").status == 409
    assert upload.files() == {"model/a": (1, 1, True)}


def test_two_projects_do_not_see_each_other(server, ready):
    with sqlite3.connect(ready.data / "waybill.db") as db:
        db.execute("INSERT INTO projects(id, created_at) VALUES ('other', 0)")
    mine, same = str(uuid.uuid4()), None
    upload = Upload(server, upload_id=mine)
    assert upload.put("model/a", b"mine").status == 200
    foreign = f"/v1/other/uploads/{mine}"
    for method, path in [("GET", foreign), ("DELETE", foreign), ("GET", foreign + "/model/a"),
                         ("PUT", foreign + "/model/a")]:
        assert server.ask(method, path, b"" if method == "PUT" else None).status == 404
    body = {"model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"upload://{mine}"}
    assert server.ask("POST", "/v1/other/models", body).status == 400
    same = Upload(server, "other", mine)  # the same id is another upload there
    assert same.files() == {} and upload.files() == {"model/a": (4, 4, True)}
    assert server.ask("POST", "/v1/nowhere/uploads").status == 404
    assert server.ask("PUT", "/v1/default/uploads/no-uuid").status == 400


def test_a_name_that_is_being_written_is_taken(server):
    upload = Upload(server)
    held = begin_put(upload, "model/w", 8 * MIB, b"x" * MIB)
    wait_for(lambda: upload.offset("model/w"))
    for _ in range(2):
        taken = upload.put("model/w", b"other")
        assert taken.status == 409 and "another request is writing" in taken.json["error_msg"]
    held.send(b"x" * (7 * MIB))
    assert held.getresponse().status == 200
    held.close()
    assert upload.files() == {"model/w": (8 * MIB, 8 * MIB, True)}


def test_an_upload_in_use_stays_as_it_is(server, package, ready):
    upload = Upload(server)
    upload.put_folder(package())
    # An import whose job nobody can take: it is queued until the lock of the store is given back.
    created = upload.create()
    model_id = created.json["model_id"]
    answer = upload.put("model/late", b"x")
    deleted = server.ask("DELETE", upload.path)
    assert answer.status in (404, 409) and deleted.status in (404, 409)
    assert server.settled(model_id)["model_status"] == "published"
    assert server.ask("GET", upload.path).status == 404


def test_limits_are_told_before_the_body_is_read(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.limit_gib=0.001", "--set", "upload.max_open=2",
                    "--set", "upload.min_free_gib=0.001")
    try:
        upload = Upload(server)
        held = begin_put(upload, "model/w", 2 * MIB, b"")
        answer = held.getresponse()
        assert answer.status == 413 and b"upload.limit_gib" in answer.read()
        held.close()
        assert upload.put("model/a", b"x" * 600_000).status == 200
        assert upload.put("model/b", b"x" * 600_000).status == 413
        connection = server.connection()  # a body that does not say its length
        connection.request("PUT", f"{upload.path}/model/c", iter([b"x" * 65536] * 20),
                           encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        assert connection.getresponse().status == 413
        connection.close()
        assert upload.put("model/a", b"y" * 900_000).status == 200  # in place of the former one
        Upload(server)
        assert server.ask("POST", "/v1/default/uploads").status == 409
    finally:
        assert server.stop() == 0


def test_a_disk_without_room_is_507(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=8000000")
    try:
        upload = Upload(server)
        answer = upload.put("model/a", b"x")
        assert answer.status == 507 and "upload.min_free_gib" in answer.json["error_msg"], answer
    finally:
        assert server.stop() == 0


def rss(process):
    [line] = [line for line in open(f"/proc/{process.pid}/status") if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def test_kill_9_in_the_middle_of_a_large_file_loses_nothing(ready, tmp_path, package):
    """256 MiB, cut by kill -9 and once by the client: what arrived is gone on with, in bounded
    memory."""
    server = Server(ready, tmp_path, "--set", "upload.min_free_gib=0.001")
    total, block = 256 * MIB, os.urandom(MIB)
    content = block * 256
    digest = hashlib.sha256(content).hexdigest()
    try:
        upload = Upload(server)
        held = begin_put(upload, "model/w.bin", total, content[:MIB])
        before = rss(server.process)
        for at in range(1, 100):
            held.send(block)
        assert rss(server.process) - before < 24 * MIB
        server.stop(signal.SIGKILL)
        held.close()
        server.start()
        have = upload.offset("model/w.bin")
        assert 80 * MIB < have <= 100 * MIB
        held = begin_put(upload, "model/w.bin", total - have, content[have:have + 50 * MIB],
                         Content_Range=f"bytes {have}-{total - 1}/{total}")
        held.close()  # the client goes away
        have = wait_for(lambda: (upload.put_part("model/w.bin", b"x", total - 1, total).status == 416
                                 and upload.offset("model/w.bin")))
        assert have > 100 * MIB
        done = upload.put("model/w.bin", content[have:], X_Content_Sha256=digest,
                          Content_Range=f"bytes {have}-{total - 1}/{total}")
        assert done.status == 200 and done.json["complete"], done
        assert rss(server.process) < 200 * MIB
    finally:
        assert server.stop() == 0


def age(ready, upload):
    with sqlite3.connect(ready.data / "waybill.db", timeout=10) as db:
        db.execute("UPDATE uploads SET written_at = written_at - ? WHERE id = ?",
                   (2 * DAY_MS, upload.id))


def test_unused_uploads_expire(server, ready):
    old, new = Upload(server), Upload(server)
    for upload in (old, new):
        assert upload.put("model/a", b"12345").status == 200
    assert old.made["expires_at"] - old.made["create_at"] == DAY_MS
    age(ready, old)
    tried = ready.run("gc", "--dry-run", "--json", check=True).events[0]
    assert (tried["uploads"], tried["upload_bytes"]) == (1, 5)
    assert len(directories(ready)) == 2
    assert "removed uploads: 1 (5 bytes)" in ready.run("gc", check=True).stdout.replace("5 B)", "5 bytes)")
    assert server.ask("GET", old.path).status == 404 and new.files()
    assert len(directories(ready)) == 1
    os.makedirs(ready.data / "uploads/left-over/files/model")  # of a process that was killed
    age(ready, new)
    server.stop()
    server.start()  # and the server by itself
    wait_for(lambda: directories(ready) == [])
    assert server.ask("GET", new.path).status == 404


def test_a_failed_import_keeps_its_upload_for_a_retry_and_names_no_path(server, ready, package):
    source = package()
    (source / "model/config.json").write_text('{"model_type": "Custom", "runtime": 7')
    upload = Upload(server)
    upload.put_folder(source)
    model_id = upload.create(runtime="base").json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    age(ready, upload)
    assert server.ask("POST", f"/v1/default/models/{model_id}/retry").status == 200
    assert server.settled(model_id)["model_status"] == "failed"
    assert upload.files()
    assert server.ask("DELETE", upload.path).status == 200
    assert server.ask("POST", f"/v1/default/models/{model_id}/retry").status == 200
    assert server.settled(model_id)["failure"]["kind"] == "upload_gone"
    [cause] = [event for event in server.get(f"/models/{model_id}/events").json["events"]
               if event.get("kind") == "upload_gone"]
    assert_answered(ready, cause)
    text = events_text(server, model_id)
    assert f"upload://{upload.id}" in text
    assert str(ready.data) not in text and "uploads/" not in text


def test_a_mended_upload_is_imported_by_a_retry(server, package):
    source = package()
    broken = (source / "model/config.json").read_bytes()
    upload = Upload(server)
    upload.put_folder(source)
    upload.put("model/config.json", b"{")
    model_id = upload.create().json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    assert upload.put("model/config.json", broken).status == 200
    server.ask("POST", f"/v1/default/models/{model_id}/retry")
    assert server.settled(model_id)["model_status"] == "published"


def test_failing_uploads_never_show_the_servers_disk(server, ready):
    """No model directory; an image's layout outside of the upload; no upload at all."""
    upload = Upload(server)
    upload.put("modell/config.json", b"{}")
    first = upload.create().json["model_id"]
    assert server.settled(first)["model_status"] == "failed"
    image = Upload(server)
    image.put("model/config.json", json.dumps(
        {"model_type": "Image", "swr_location": "oci:/etc/passwd:latest"}).encode())
    second = image.create(model_version="0.0.2", model_type="Image").json["model_id"]
    assert server.settled(second)["model_status"] == "failed"
    for model_id in (first, second):
        text = events_text(server, model_id)
        assert str(ready.data) not in text and "uploads/" not in text, text
    assert "inside of the upload" in events_text(server, second)
    assert "目录位于上传内容之内" in events_text(server, second)
    missing = upload.server.ask("POST", "/v1/default/models", {
        "model_name": "x", "model_version": "0.0.1", "model_type": "Custom",
        "source_location": f"upload://{uuid.uuid4()}"})
    assert missing.status == 400 and "there is no upload" in missing.json["error_msg"]
    odd = upload.server.ask("POST", "/v1/default/models", {
        "model_name": "x", "model_version": "0.0.1", "model_type": "Custom",
        "source_location": "upload://../../etc"})
    assert odd.status == 400 and "expected upload://ID" in odd.json["error_msg"]


def test_many_send_at_once(server):
    upload = Upload(server)
    bodies = {f"model/{i % 7}/{i}": os.urandom(20_000 + i) for i in range(60)}
    failed = []

    def send(names):
        for name in names:
            if upload.put(name, bodies[name]).status != 200:
                failed.append(name)

    names = list(bodies)
    threads = [threading.Thread(target=send, args=(names[at::4],)) for at in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed
    assert upload.files() == {name: (len(body), len(body), True) for name, body in bodies.items()}


def test_uploads_are_for_servers(waybill, tmp_path):
    refused = waybill.run("import", f"upload://{uuid.uuid4()}")
    assert refused.returncode == 2 and "only a server has those" in refused.stderr
