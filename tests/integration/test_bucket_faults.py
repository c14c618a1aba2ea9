"""Object stores that fail: every failure ends in an event that names it, or is outlasted."""
import base64
import hashlib
import json
import os
import signal
import subprocess

import pytest

from conftest import wait_for
from corpus_runner import assert_answered
from faulty_s3 import BUCKET, Answer, FaultyS3, error
from wholeness import assert_store

CONFIG = b'{"model_type": "Custom", "model_algorithm": "test"}'
LARGE = 40 << 20  # several parts


@pytest.fixture
def s3(ready):
    with FaultyS3({"p/model/config.json": CONFIG, "p/model/weights.bin": os.urandom(LARGE)}) as running:
        ready.environment |= {"WAYBILL_OBJECTS_ENDPOINT": running.endpoint, "AWS_ACCESS_KEY_ID": "AK",
                              "AWS_SECRET_ACCESS_KEY": "SECRET", "WAYBILL_REGISTRY_RETRIES": "2",
                              "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "2"}
        running.waybill = ready
        yield running


def run(s3):
    return s3.waybill.run("import", f"s3://{BUCKET}/p", "--name", "m", "--json")


def imported(s3):
    done = run(s3)
    assert done.events[-1]["reason"] == "ModelImported", str(done)
    assert_store(s3.waybill)
    return done


def failed(s3, kind):
    done = run(s3)
    assert done.returncode == 1, str(done)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", kind), cause
    assert_answered(s3.waybill, cause)
    assert "SECRET" not in json.dumps(cause)
    return cause


def of_weights(answer):
    return lambda asked: answer(asked) if asked.key.endswith("weights.bin") else None


@pytest.mark.parametrize("part", ["list", "read"])
@pytest.mark.parametrize("answer", [error(503, "SlowDown", Retry_After="0"), error(500, "InternalError"),
                                    error(429, "TooManyRequests"), Answer(200, b"", length=7),
                                    Answer(206, b"x" * 100, sent=0)])
def test_what_passes_is_outlasted(s3, part, answer):
    s3.fault(part, lambda asked: answer, times=2)
    imported(s3)


def test_a_body_that_breaks_goes_on_where_it_broke(s3):
    content = s3.objects["p/model/weights.bin"]
    s3.fault("read", of_weights(lambda asked: Answer(206, content[asked.begin:asked.end], sent=1 << 20)),
             times=12)
    imported(s3)
    read = [asked for asked in s3.requests if asked.key.endswith("weights.bin")]
    assert sum(min(asked.end - asked.begin, 1 << 20) for asked in read[:12]) >= 12 << 20
    assert any(asked.begin % (8 << 20) for asked in read), "each began its part anew"


@pytest.mark.parametrize("answer, kind", [
    (error(500, "InternalError"), "server_error"), (error(503, "SlowDown"), "server_error"),
    (error(403, "AccessDenied"), "denied"), (error(404, "NoSuchKey"), "gone"),
    (error(412, "PreconditionFailed"), "changed"), (error(400, "Weird"), "server_error"),
    (Answer(206, b"", length=100), "short_body"), (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}),
                                                    "server_error")])
def test_what_stays_is_named_with_what_the_service_said(s3, answer, kind):
    s3.fault("read", of_weights(lambda asked: answer))
    cause = failed(s3, kind)
    assert_answered(s3.waybill, cause)
    assert cause["stage"] == "copy" and cause["evidence"]["key"] == "p/model/weights.bin"
    if answer.status >= 400:
        assert cause["evidence"]["http"]["status"] == answer.status
        assert cause["evidence"]["request_id"] == "tx-1"


def test_more_bytes_than_were_asked_for(s3):
    s3.fault("read", of_weights(lambda asked: Answer(206, b"x" * (9 << 20))))
    assert "more bytes" in failed(s3, "server_error")["evidence"]["error"]


def test_a_service_that_knows_no_ranges(s3):
    """It sends all of the object for each part: that is no part."""
    content = s3.objects["p/model/weights.bin"]
    s3.fault("read", of_weights(lambda asked: Answer(200, content)))
    assert "knows no ranges" in failed(s3, "server_error")["evidence"]["error"]


def checksum(content):
    return {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(content).digest()).decode()}


def of_small(s3, content=b"small" * 1000):
    """What is asked for in one request; its right answer."""
    s3.objects["p/model/small.bin"] = content
    return lambda answer: lambda asked: answer if asked.key.endswith("small.bin") else None


def test_other_bytes_than_the_checksum_says(s3):
    right = b"small" * 1000
    wrong = Answer(206, right[:-1] + b"X", checksum(right))
    s3.fault("read", of_small(s3)(wrong))
    cause = failed(s3, "checksum")
    assert_answered(s3.waybill, cause)
    assert cause["evidence"]["key"] == "p/model/small.bin" and cause["evidence"]["attempts"] == 3
    assert any(asked.headers.get("x-amz-checksum-mode") == "ENABLED" for asked in s3.requests)


@pytest.mark.parametrize("faulty", [Answer(206, b"X" * 5000, checksum(b"small" * 1000)),
                                    Answer(206, b"small" * 1000, checksum(b"small" * 1000), sent=2000)])
def test_what_comes_with_its_checksum_once_is_taken(s3, faulty):
    right = b"small" * 1000
    small = of_small(s3)
    s3.fault("read", small(faulty), times=2)
    s3.fault("read", small(Answer(206, right, checksum(right))))
    imported(s3)
    assert len([asked for asked in s3.requests if asked.key.endswith("small.bin")]) == 3


@pytest.mark.parametrize("sum", ["", "x", "AAAA", checksum(b"other")["x-amz-checksum-sha256"] + "-3"])
def test_a_checksum_of_something_else_is_not_looked_at(s3, sum):
    small = of_small(s3)
    s3.fault("read", small(Answer(206, b"small" * 1000, {"x-amz-checksum-sha256": sum})))
    imported(s3)


def test_an_object_that_changes_while_it_is_read(s3):
    def change(asked):
        if asked.begin:
            s3.objects["p/model/weights.bin"] = os.urandom(LARGE)
    s3.fault("read", of_weights(change))
    failed(s3, "changed")


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"<ListBucketResult><Contents>", b"\x00\xff" * 100,
                                  b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
                                  b"<a>" * 10000])
def test_listings_that_are_none(s3, body):
    s3.fault("list", lambda asked: Answer(200, body))
    assert failed(s3, "server_error")["stage"] == "check"


def test_a_listing_in_small_pages(s3):
    s3.page = 1
    imported(s3)


def test_a_listing_that_does_not_end(s3):
    def same(asked):
        return Answer(200, b"<ListBucketResult><IsTruncated>true</IsTruncated>"
                           b"<NextContinuationToken>x</NextContinuationToken></ListBucketResult>")
    s3.fault("list", same)
    assert "does not end" in failed(s3, "server_error")["evidence"]["error"]


def test_a_clock_that_is_wrong_is_corrected_by_the_service(s3):
    dates = []

    def skewed(asked):
        dates.append(asked.headers["x-amz-date"])
        return error(403, "RequestTimeTooSkewed", Date="Mon, 01 Jan 2035 00:00:00 GMT") \
            if not dates[-1].startswith("20350101") else None
    s3.fault("list", skewed)
    imported(s3)
    assert dates[-1].startswith("20350101")


def test_stopped_while_it_reads_it_stays_open_and_goes_on(s3):
    content = s3.objects["p/model/weights.bin"]
    s3.fault("read", of_weights(lambda asked: error(503, "SlowDown") if asked.begin else None))
    assert content
    s3.waybill.environment |= {"WAYBILL_REGISTRY_RETRIES": "50", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "60"}
    process = s3.waybill.start("import", f"s3://{BUCKET}/p", "--name", "m", "--json", stderr=subprocess.DEVNULL)
    wait_for(lambda: s3.count("read") > 8)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stdout.close()
    s3.faults.clear()
    s3.waybill.run("retry", "m", check=True)
    assert_store(s3.waybill)


def test_a_listing_of_100_000_keys(s3):
    """Objects of no bytes: nothing but the listing is asked for."""
    s3.objects |= {f"p/model/shard-{number:06}": b"" for number in range(100_000)}
    done = imported(s3)
    [size] = [event for event in done.events if event["reason"] == "ModelSizeCalculated"]
    assert size["evidence"]["files"] == 100_002


@pytest.mark.parametrize("key", ["a\0b", "/a", "a//b", "../a", "a/../../b", "a\nb", "a\x7fb", "a\udcffb", "a" * 1017])
def test_keys_that_are_no_path_or_no_text_are_named(s3, key):
    """What radosgw does not store itself."""
    s3.objects["p/model/" + key] = b"x"
    assert failed(s3, "unsafe_name")["stage"] == "check"
