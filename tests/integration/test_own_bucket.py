"""The service's own bucket (objects.url): model files are copied into it, and packed from there. On a
real object store, whose own rights make what fails."""
import json
import os
import subprocess
import time

import pytest

from attempts import SOUND
from conftest import wait_for
from corpus_runner import assert_answered
from radosgw import bucket, rgw  # noqa: F401
from test_bucket import failed, of_folder, shown, use  # noqa: F401
from wholeness import assert_store, event_names

LARGE = int(os.environ.get("LARGE", 40 << 20))


@pytest.fixture
def own(ready, rgw):
    """Waybill with a bucket of its own, which is not there yet."""
    use(ready, rgw)
    ready.own = f"own{os.urandom(6).hex()}"
    ready.environment["WAYBILL_OBJECTS_URL"] = f"s3://{ready.own}/kept"
    return ready


def copies(rgw, waybill, prefix="kept/"):
    """{path beneath the model's directory: content} of all that lies there."""
    import xml.etree.ElementTree
    status, body = rgw.request("GET", f"/{waybill.own}", query={"list-type": "2", "prefix": prefix})
    assert status == 200, body
    name = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    keys = [element.text for element in xml.etree.ElementTree.fromstring(body).iter(f"{name}Key")]
    return {key.split("/", 3)[3]: rgw.request("GET", f"/{waybill.own}/{key}")[1] for key in keys}


def kept(done):
    [event] = [event for event in done.events if event["reason"] == "ModelFilesImported"]
    return event["evidence"]["own_copy"]


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def large(folder):
    with open(folder / "model/large.bin", "wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))
        file.write(b"and some more")
    return folder


def test_what_lies_in_a_bucket_is_copied_there_and_packed_from_the_copy(own, rgw, bucket, package,
                                                                        of_folder):
    folder = large(package({"model/ü b+c%20&=.bin": "odd", "model/empty": ""}))
    rgw.put_folder(bucket, "some/dir", folder)
    done = own.run("import", f"s3://{bucket}/some/dir", "--name", "m", "--json", check=True)
    assert event_names(done.events) == SOUND
    evidence = kept(done)
    assert evidence["place"] == f"s3://{own.own}/kept/default/{shown(own, 'm')['model_id']}"
    assert evidence["copied_there"] == evidence["bytes"] and evidence["acls"] is True
    assert copies(rgw, own) == files_of(folder)
    assert shown(own, "m")["image_digest"] == of_folder(folder)["image_digest"]
    assert_store(own)


def test_what_lies_in_a_folder_is_sent_in_parts(own, rgw, package, of_folder):
    folder = large(package({"model/empty": ""}))
    done = own.run("import", folder, "--name", "m", "--json", check=True)
    assert kept(done)["copied_there"] == 0
    assert copies(rgw, own) == files_of(folder)
    assert shown(own, "m")["image_digest"] == of_folder(folder)["image_digest"]


def test_the_owner_may_do_everything_with_a_copy(own, rgw, package):
    own.run("import", package(), "--name", "m", check=True)
    place = f"/{own.own}/kept/default/{shown(own, 'm')['model_id']}/model/config.json"
    status, body = rgw.request("GET", place, query={"acl": ""})
    assert status == 200 and b"FULL_CONTROL" in body and b"<ID>alice</ID>" in body


def test_a_bucket_of_another_user_is_read_with_the_projects_keys_alone(own, rgw, package, bucket):
    """The service's own keys may do more than the project's: they copy nothing for it."""
    folder = package()
    rgw.put_folder(bucket, "p", folder)
    use(own, rgw, "mallory")
    cause = failed(own, f"s3://{bucket}/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "denied")


def test_its_own_bucket_is_no_source(own, rgw, package):
    own.run("import", package(), "--name", "m", check=True)
    place = f"s3://{own.own}/kept/default/{shown(own, 'm')['model_id']}"
    for source in (place, f"s3://{own.own}"):
        done = own.run("import", source, "--name", "other")
        assert done.returncode == 1 and "may import from" in done.stdout, str(done)


# -- 42 --

def test_a_bucket_that_cannot_be_created_is_event_42(own, rgw, package):
    rgw.run("radosgw-admin", "-c", "ceph.conf", "user", "modify", "--uid=alice", "--max-buckets=-1")
    try:
        cause = failed(own, package())
    finally:
        rgw.run("radosgw-admin", "-c", "ceph.conf", "user", "modify", "--uid=alice", "--max-buckets=1000")
    assert (cause["reason"], cause["kind"]) == ("BucketCreateFailed", "denied"), cause
    assert_answered(own, cause)
    evidence = cause["evidence"]
    assert evidence["http"]["status"] == 403 and evidence["http"]["method"] == "PUT"
    assert evidence["bucket"] == own.own and evidence["principal"] == "AKalice"
    assert evidence["endpoint"] == rgw.endpoint and evidence["request_id"]
    own.run("retry", "m", check=True)


def test_an_account_with_too_many_buckets_is_event_42(own, rgw, package):
    rgw.run("radosgw-admin", "-c", "ceph.conf", "user", "create", "--uid=full", "--display-name=full",
            "--access-key=AKfull", "--secret-key=SKfull", "--max-buckets=1")
    rgw.make(f"f{os.urandom(6).hex()}", user="full")
    use(own, rgw, "full")
    try:
        cause = failed(own, package())
    finally:
        rgw.run("radosgw-admin", "-c", "ceph.conf", "user", "rm", "--uid=full", "--purge-data")
    assert (cause["reason"], cause["kind"]) == ("BucketCreateFailed", "too_many"), cause
    assert_answered(own, cause)


def test_a_name_that_another_account_has_is_event_42(own, rgw, package):
    rgw.make(own.own, user="mallory")
    cause = failed(own, package())
    assert (cause["reason"], cause["kind"]) == ("BucketCreateFailed", "taken"), cause
    assert_answered(own, cause)
    assert cause["evidence"]["code"] == "BucketAlreadyExists"


def test_a_region_that_is_none_is_event_42(own, rgw, package):
    own.environment["WAYBILL_OBJECTS_REGION"] = "mars-1"
    cause = failed(own, package())
    assert (cause["reason"], cause["kind"]) == ("BucketCreateFailed", "region"), cause
    assert_answered(own, cause)


def test_of_a_store_that_is_away_nobody_says_that_it_has_no_bucket(own, package):
    own.environment |= {"WAYBILL_OBJECTS_ENDPOINT": "http://127.0.0.1:9", "WAYBILL_REGISTRY_RETRIES": "0"}
    cause = failed(own, package())
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "server_error"), cause
    assert cause["evidence"]["bucket"] == own.own and cause["evidence"]["http"]["method"] == "HEAD"
    assert_answered(own, cause)


@pytest.mark.parametrize("url, endpoint", [("s3://B/x", None), ("file:/tmp/objects", None), ("s3://", None),
                                           ("s3://bucket/dir", "ftp://host")])
def test_settings_that_name_no_bucket_are_refused_before_anything_begins(own, package, url, endpoint):
    own.environment["WAYBILL_OBJECTS_URL"] = url
    if endpoint:
        own.environment["WAYBILL_OBJECTS_ENDPOINT"] = endpoint
    done = own.run("import", package(), "--name", "m", "--json")
    assert done.returncode == 2 and done.stdout == "" and "objects.url: " in done.stderr, str(done)
    assert (endpoint or url) in done.stderr and "expected" in done.stderr


# -- 11 --

def forbid(rgw, waybill, action, user="alice"):
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]}, "Action": [action],
         "Resource": [f"arn:aws:s3:::{waybill.own}/*"]}]}
    status, body = rgw.request("PUT", f"/{waybill.own}", json.dumps(policy).encode(), query={"policy": ""})
    assert status in (200, 204), body


def test_an_acl_that_may_not_be_set_is_event_11(own, rgw, package):
    rgw.make(own.own)
    forbid(rgw, own, "s3:PutObjectAcl")
    cause = failed(own, package())
    assert cause["reason"] == "PutObjectAclDenied" and cause["params"] == {"user": "AKalice"}
    assert cause["event_info"] == "User AKalice does not have obs:object:PutObjectAcl permission"
    assert_answered(own, cause)
    evidence = cause["evidence"]
    assert evidence["http"]["status"] == 403 and evidence["request_id"] and evidence["bucket"] == own.own
    assert json.loads(evidence["policy"])["Action"] == ["s3:PutObjectAcl"]
    assert shown(own, "m")["error_code"] == "ModelArts.3043"
    status, _ = rgw.request("DELETE", f"/{own.own}", query={"policy": ""})
    assert status in (200, 204)
    again = own.run("retry", "m", "--json", check=True)
    assert kept(again)["kept"] > 0, "what was copied is not copied again"


# -- 29 --

def test_a_bucket_that_takes_nothing_is_event_29(own, rgw, bucket, package):
    rgw.make(own.own)
    forbid(rgw, own, "s3:PutObject")
    rgw.put_folder(bucket, "p", package())
    for source, action in ((f"s3://{bucket}/p", "copy"), (package(name="other"), "write")):
        cause = failed(own, source, "--version", "0.0.1" if action == "copy" else "0.0.2")
        assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "denied"), cause
        assert cause["evidence"]["action"] == action and cause["evidence"]["bucket"] == own.own
        assert_answered(own, cause)


# -- going on, and going --

def test_what_was_copied_before_it_was_killed_is_not_copied_again(own, rgw, package):
    folder = large(package({f"model/{number:03}.bin": "x" * 1000 for number in range(200)}))
    process = own.start("import", folder, "--name", "m", stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    wait_for(lambda: rgw.request("HEAD", f"/{own.own}")[0] == 200 and len(copies(rgw, own)) > 20)
    process.kill()
    process.wait()
    done = own.run("retry", "m", "--json", check=True)
    assert kept(done)["kept"] >= 20 * 1000
    assert copies(rgw, own) == files_of(folder)
    status, body = rgw.request("GET", f"/{own.own}", query={"uploads": ""})
    assert status == 200 and b"<Upload>" not in body


def test_a_file_that_changed_is_copied_again_and_one_that_went_is_removed(own, rgw, package):
    folder = package({"model/goes.bin": "g", "model/changes.bin": "c"})
    own.run("import", folder, "--name", "m", check=True)
    time.sleep(0.01)
    (folder / "model/goes.bin").unlink()
    (folder / "model/changes.bin").write_text("d")
    own.run("import", folder, "--name", "m", "--version", "0.0.1", "--if-exists", "retry", check=True)
    assert copies(rgw, own) == files_of(folder)


def test_gc_removes_the_copies_of_deleted_models(own, rgw, package):
    own.run("import", package(), "--name", "stays", check=True)
    own.run("import", package(name="other"), "--name", "goes", check=True)
    own.run("delete", "goes", check=True)
    before = rgw.request("GET", f"/{own.own}", query={"list-type": "2"})[1].count(b"<Key>")
    shown_only = own.run("gc", "--dry-run", check=True)
    assert "copies of deleted models in the own bucket: 1" in shown_only.stdout, shown_only.stdout
    assert rgw.request("GET", f"/{own.own}", query={"list-type": "2"})[1].count(b"<Key>") == before
    own.run("gc", check=True)
    _, body = rgw.request("GET", f"/{own.own}", query={"list-type": "2"})
    assert body.count(b"<Key>") * 2 == before and shown(own, "stays")["model_id"].encode() in body


# -- doctor --

def doctor(waybill):
    done = waybill.run("doctor", "--json")
    return [check for check in map(json.loads, done.stdout.splitlines()) if check["id"] == "objects"]


def test_doctor_proves_the_bucket_and_leaves_nothing_there(own, rgw):
    [before] = doctor(own)
    assert before["status"] == "ok" and "the first import makes it" in before["found"], before
    rgw.make(own.own)
    [check] = doctor(own)
    assert check["status"] == "ok" and "listed, written, read, given to its owner" in check["found"]
    assert copies(rgw, own) == {}


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject", "s3:PutObjectAcl", "s3:DeleteObject"])
def test_doctor_names_the_permission_that_is_missing(own, rgw, action):
    rgw.make(own.own)
    forbid(rgw, own, action)
    [check] = doctor(own)
    assert check["status"] == "fail" and check["mend"] == f"grant AKalice {action}", check


def test_doctor_says_that_nobody_answers(own):
    own.environment |= {"WAYBILL_OBJECTS_ENDPOINT": "http://127.0.0.1:9", "WAYBILL_REGISTRY_RETRIES": "0"}
    [check] = doctor(own)
    assert check["status"] == "fail" and "objects.endpoint" in check["mend"], check


# -- over HTTP: with two sets of keys --

def test_a_projects_own_keys_read_and_the_services_write(own, rgw, bucket, package, tmp_path):
    """Of another account's bucket the bytes pass through: neither has the rights for a copy there."""
    folder = large(package())
    rgw.put_folder(bucket, "p", folder)
    use(own, rgw, "mallory")
    host = rgw.endpoint.split("://")[1]
    own.environment["WAYBILL_SOURCES_ALLOW"] = f"s3://{bucket}/"
    secret = subprocess.run([own.program, "credential", "add", "--for", "s3", "--host", host, "--user",
                             "AKalice", "--secret-stdin"], input="SKalice", text=True,
                            env=own.environment, capture_output=True)
    assert secret.returncode == 0, secret.stderr
    from serving import Server
    server = Server(own, tmp_path)
    try:
        answer = server.create("", name="m", source_location=f"s3://{bucket}/p")
        assert answer.status == 200, answer.body
        details = server.settled(answer.json["model_id"])
        assert details["model_status"] == "published", details
    finally:
        assert server.stop() == 0
    names = rgw.request("GET", f"/{own.own}", query={"list-type": "2"}, user="mallory")[1]
    assert names.count(b"<Key>") == len(files_of(folder))
