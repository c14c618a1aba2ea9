"""Packages in buckets of a real object store: imported without being staged, as from a folder."""
import json
import os
import subprocess
import time

import pytest

from attempts import SOUND
from conftest import wait_for
from corpus_runner import assert_answered
from radosgw import bucket, rgw  # noqa: F401
from wholeness import assert_store, event_names

LARGE = 64 << 20


def use(waybill, rgw, user="alice", secret=None):
    waybill.environment |= {"WAYBILL_OBJECTS_ENDPOINT": rgw.endpoint,
                            "AWS_ACCESS_KEY_ID": f"AK{user}", "AWS_SECRET_ACCESS_KEY": secret or f"SK{user}"}
    return waybill


@pytest.fixture
def s3(ready, rgw):
    return use(ready, rgw)


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


@pytest.fixture
def of_folder(waybill_at, base_layout):
    """of_folder(FOLDER): what an import of it as `m` gives, on a data directory of its own."""
    def imported(folder):
        other = waybill_at("of-folder")
        other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
        other.run("import", folder, "--name", "m", check=True)
        return shown(other, "m")
    return imported


def failed(waybill, *arguments):
    done = waybill.run("import", *arguments, "--name", "m", "--json")
    assert done.returncode == 1, str(done)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    return cause


@pytest.mark.parametrize("scheme", ["s3", "obs"])
def test_an_import_from_a_bucket_is_that_of_the_folder(s3, rgw, bucket, package, of_folder, scheme):
    folder = package({"model/sub/deep/x.txt": "x", "model/empty": "", "model/ü b+c%20&=.bin": "odd"})
    with open(folder / "model/large.bin", "wb") as file:
        file.write(os.urandom(LARGE + 12345))
    rgw.put_folder(bucket, "some/dir", folder)
    done = s3.run("import", f"{scheme}://{bucket}/some/dir/", "--name", "m", "--json", check=True)
    assert event_names(done.events) == SOUND
    assert_store(s3)
    assert shown(s3, "m")["image_digest"] == of_folder(folder)["image_digest"]


def test_the_bucket_itself_may_be_the_package(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "model", package() / "model")
    s3.run("import", f"s3://{bucket}", "--name", "m", check=True)
    assert shown(s3, "m")["model_status"] == "published"
    name = s3.run("import", f"s3://{bucket}", "--json", check=True).events
    assert name[-1]["reason"] == "ModelImported"


def test_nothing_is_read_again_that_was_packed(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    time.sleep(2.1)
    s3.run("import", f"s3://{bucket}/p", "--name", "m", check=True)
    again = s3.run("import", f"s3://{bucket}/p", "--name", "other", "--json", check=True)
    [copied] = [event for event in again.events if event["reason"] == "ModelFilesImported"]
    assert copied["evidence"]["reused_bytes"] == copied["evidence"]["bytes"]


def test_check_looks_and_stores_nothing(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    done = s3.run("check", f"s3://{bucket}/p", check=True)
    assert "sound" in done.stdout


def test_folders_of_consoles_and_what_is_ignored_are_no_files(s3, rgw, bucket, package, of_folder):
    folder = package({"model/skip/a.bin": "a", "model/keep.bin": "k", "model/x.tmp": "x",
                      ".waybillignore": "skip/\n", "model/.waybillignore": "*.tmp\n"})
    rgw.put_folder(bucket, "p", folder)
    rgw.put(bucket, "p/model/made/", b"")
    s3.run("import", f"s3://{bucket}/p", "--name", "m", check=True)
    expected = of_folder(folder)
    assert shown(s3, "m")["image_digest"] == expected["image_digest"]
    assert shown(s3, "m")["model_size"] == expected["model_size"]


def test_a_listing_of_many_pages(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    for number in range(1100):
        rgw.put(bucket, f"p/model/many/{number:04}", b"%d" % number)
    done = s3.run("import", f"s3://{bucket}/p", "--name", "m", "--json", check=True)
    [size] = [event for event in done.events if event["reason"] == "ModelSizeCalculated"]
    assert size["evidence"]["files"] == 1102


# -- what goes wrong --

def test_no_such_bucket(s3):
    cause = failed(s3, "s3://there-is-none-of-it/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "no_bucket")
    assert_answered(s3, cause)
    assert cause["evidence"]["request_id"] and cause["evidence"]["code"] == "NoSuchBucket"


@pytest.mark.parametrize("user, secret, code", [("alice", "wrong", "SignatureDoesNotMatch"),
                                                ("nobody", None, "InvalidAccessKeyId"),
                                                ("mallory", None, "AccessDenied")])
def test_who_may_not(s3, rgw, bucket, package, user, secret, code):
    rgw.put_folder(bucket, "p", package())
    use(s3, rgw, user, secret)
    cause = failed(s3, f"s3://{bucket}/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "denied"), cause
    assert_answered(s3, cause)
    evidence = cause["evidence"]
    assert (evidence["code"], evidence["principal"], evidence["http"]["status"]) == (code, f"AK{user}", 403)
    assert "SKalice" not in json.dumps(cause) and "Signature=" not in json.dumps(cause)


def test_without_a_login_it_is_asked_anonymously(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        s3.environment.pop(name)
    cause = failed(s3, f"s3://{bucket}/p")
    assert cause["kind"] == "denied" and cause["evidence"]["principal"] == "anonymous"


def test_no_such_folder_names_what_there_is(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    cause = failed(s3, f"s3://{bucket}/p", "--child", "modl")
    assert cause["reason"] == "ModelChildDirectoryMissing"
    assert cause["evidence"]["nearest"] == "model" and cause["evidence"]["listing"] == ["model/"]


@pytest.mark.parametrize("key", ["a//b", "../up", "./here", "tab\tin", "new\nline"])
def test_keys_that_are_no_path_are_named(s3, rgw, bucket, package, key):
    rgw.put_folder(bucket, "p", package())
    rgw.put(bucket, f"p/model/{key}", b"x")
    cause = failed(s3, f"s3://{bucket}/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "unsafe_name"), cause
    assert_answered(s3, cause)


def test_the_service_is_restarted_in_the_middle_and_the_import_goes_on(s3, rgw, bucket, package):
    folder = package()
    with open(folder / "model/large.bin", "wb") as file:
        file.write(os.urandom(1 << 20) * 300)
    rgw.put_folder(bucket, "p", folder)
    s3.environment["WAYBILL_REGISTRY_RETRIES"] = "30"
    process = s3.start("import", f"s3://{bucket}/p", "--name", "m", "--json", stderr=subprocess.DEVNULL)
    tmp = s3.data / "images/tmp"
    wait_for(lambda: any(path.stat().st_size > 8 << 20 for path in tmp.glob("*")))
    rgw.stop_gateway()
    time.sleep(0.5)
    rgw.start_gateway()
    assert process.wait(120) == 0
    process.stdout.close()
    assert_store(s3)


@pytest.mark.parametrize("address", ["s3://B/x", "s3://", "obs://ab", "s3://bucket/a//b", "s3://bucket/../x",
                                     "s3://bucket/a/./b"])
def test_addresses_that_are_none_are_refused_at_once(s3, address):
    done = s3.run("import", address)
    assert done.returncode == 2 and "s3://" in done.stderr, str(done)


def test_keys_as_long_as_they_may_be(s3, rgw, bucket, package, of_folder):
    folder = package()
    part = "模" * 84 + "型"  # 255 bytes, as long as a name in a folder may be
    name = "/".join([part] * 3 + ["é" * 123 + "xx"])
    assert len(f"p/model/{name}".encode()) == 1024
    file = folder / "model" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 100)
    rgw.put_folder(bucket, "p", folder)
    s3.run("import", f"s3://{bucket}/p", "--name", "m", check=True)
    assert shown(s3, "m")["image_digest"] == of_folder(folder)["image_digest"]


def test_a_name_that_no_folder_can_have_is_named(s3, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    rgw.put(bucket, "p/model/" + "é" * 200, b"x")
    cause = failed(s3, f"s3://{bucket}/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "unsafe_name"), cause


@pytest.mark.parametrize("below", ["a/b", "a/b/c"])
def test_a_key_that_is_a_folder_too_is_named(s3, rgw, bucket, package, below):
    rgw.put_folder(bucket, "p", package())
    rgw.put(bucket, "p/model/a", b"x")
    rgw.put(bucket, f"p/model/{below}", b"x")
    cause = failed(s3, f"s3://{bucket}/p")
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "unsafe_name"), cause
    assert cause["evidence"]["path"] == "model/a"
