"""The service's own bucket on an object store that fails as no real one can be made to."""
import json
import os

import pytest

from corpus_runner import assert_answered
from faulty_s3 import BUCKET, Answer, FaultyS3, error
from wholeness import assert_store

CONFIG = b'{"model_type": "Custom", "model_algorithm": "test"}'
LARGE = 20 << 20  # three parts of an upload


@pytest.fixture
def s3(ready):
    with FaultyS3({"p/model/config.json": CONFIG, "p/model/weights.bin": os.urandom(1000)}) as running:
        ready.environment |= {"WAYBILL_OBJECTS_ENDPOINT": running.endpoint, "AWS_ACCESS_KEY_ID": "AK",
                              "AWS_SECRET_ACCESS_KEY": "SECRET", "WAYBILL_REGISTRY_RETRIES": "2",
                              "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "2",
                              "WAYBILL_OBJECTS_URL": f"s3://{BUCKET}/own"}
        running.waybill = ready
        yield running


@pytest.fixture
def folder(package):
    folder = package()
    (folder / "model/large.bin").write_bytes(os.urandom(LARGE))
    return folder


def run(s3, source=f"s3://{BUCKET}/p"):
    return s3.waybill.run("import", source, "--name", "m", "--json")


def imported(s3, *source):
    done = run(s3, *source)
    assert done.events[-1]["reason"] == "ModelImported", str(done)
    assert_store(s3.waybill)
    [event] = [event for event in done.events if event["reason"] == "ModelFilesImported"]
    return event["evidence"]["own_copy"]


def failed(s3, kind, *source):
    done = run(s3, *source)
    assert done.returncode == 1, str(done)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", kind), cause
    assert_answered(s3.waybill, cause)
    assert "SECRET" not in json.dumps(cause)
    return cause


def own(s3):
    return {key.split("/", 4)[4]: content for key, content in s3.objects.items() if key.startswith("own/")}


@pytest.mark.parametrize("answer", [error(400, "AccessControlListNotSupported"),
                                    error(501, "NotImplemented"), error(405, "MethodNotAllowed")])
def test_a_bucket_that_knows_no_acls_fails_nothing(s3, answer):
    s3.fault("acl", lambda asked: answer)
    assert imported(s3)["acls"] is False
    assert s3.count("acl") == 1, "it is not asked again for each file"


@pytest.mark.parametrize("part", ["write", "put_part", "copy", "acl", "begin", "finish", "head", "uploads"])
@pytest.mark.parametrize("answer", [error(503, "SlowDown", Retry_After="0"), Answer(500, b"")])
def test_what_passes_is_outlasted(s3, folder, part, answer):
    s3.fault(part, lambda asked: answer, times=2)
    imported(s3)
    s3.waybill.run("delete", "m", check=True)
    imported(s3, folder)
    assert own(s3)["large.bin"] == (folder / "model/large.bin").read_bytes()


@pytest.mark.parametrize("part, body", [("copy", b"<Error><Code>InternalError</Code></Error>"),
                                        ("finish", b"<Error><Code>InternalError</Code></Error>"),
                                        ("begin", b"")])
def test_a_failure_behind_a_200_is_one(s3, folder, part, body):
    s3.fault(part, lambda asked: Answer(200, body), times=1)
    imported(s3)
    s3.waybill.run("delete", "m", check=True)
    imported(s3, folder)
    s3.fault(part, lambda asked: Answer(200, body))
    s3.waybill.run("delete", "m", check=True)
    failed(s3, "server_error", *([] if part == "copy" else [folder]))


def test_an_object_that_changes_before_it_is_copied_is_named(s3):
    def change(asked):
        s3.objects["p/model/weights.bin"] = b"other"
    s3.fault("uploads", change, times=1)
    cause = failed(s3, "changed")
    assert cause["evidence"]["action"] == "copy" and cause["evidence"]["path"] == "model/weights.bin"


def test_an_upload_that_fails_is_given_up(s3, folder):
    s3.fault("put_part", lambda asked: error(403, "AccessDenied") if asked.query["partNumber"] == "2" else None)
    failed(s3, "denied", folder)
    assert s3.begun and not s3.parts, "no upload is left behind"
    assert "large.bin" not in own(s3)


def test_an_answer_that_breaks_behind_the_last_part_is_not_taken_for_a_failure(s3, folder):
    def finish_and_break(asked):
        s3.finish(asked)
        return Answer(200, b"<CompleteMultipartUploadResult/>", sent=0)
    s3.fault("finish", finish_and_break, times=1)
    imported(s3, folder)
    assert own(s3)["large.bin"] == (folder / "model/large.bin").read_bytes()


def test_what_changes_while_it_is_sent_is_named_and_not_kept(s3, folder):
    path = folder / "model/large.bin"

    def change(asked):
        with open(path, "r+b") as file:
            file.truncate(LARGE - 5)
    s3.fault("put_part", change, times=1)
    failed(s3, "changed", folder)
    assert "large.bin" not in own(s3) and not s3.parts


def of_bucket(answer):
    return lambda asked: None if asked.key else answer


def test_a_store_that_fails_to_create_it(s3):
    s3.fault("head", of_bucket(Answer(404)))
    s3.fault("create", lambda asked: error(500, "InternalError"))
    done = run(s3)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    assert (cause["reason"], cause["kind"]) == ("BucketCreateFailed", "other"), cause
    assert cause["evidence"]["attempts"] == 3 and cause["evidence"]["code"] == "InternalError"
    assert_answered(s3.waybill, cause)


def test_a_bucket_that_may_not_be_looked_at_and_is_ours(s3):
    s3.fault("head", of_bucket(Answer(403)))
    imported(s3)


NAMELESS = b"<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>"


@pytest.mark.parametrize("part, answer, words", [
    ("begin", Answer(200, NAMELESS), "an upload that has no name"),
    ("begin", Answer(200, b"<InitiateMultipartUploadResult/>"), "an upload that has no name"),
    ("put_part", Answer(200, b""), "a part that has no ETag")])
def test_an_answer_that_lacks_what_it_is_asked_for_is_named(s3, folder, part, answer, words):
    s3.fault(part, lambda asked: answer)
    cause = failed(s3, "server_error", folder)
    assert words in cause["evidence"]["error"] and cause["evidence"]["http"]["status"] == 200
    assert "large.bin" not in own(s3)


def test_a_listing_of_its_own_bucket_that_does_not_end_is_named(s3):
    page = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>" \
           b"</ListBucketResult>"
    s3.fault("list", lambda asked: Answer(200, page) if asked.query["prefix"].startswith("own/") else None)
    cause = failed(s3, "server_error")
    assert "does not end" in cause["evidence"]["error"] and cause["evidence"]["action"] == "list"
