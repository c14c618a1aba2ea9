"""What a registry does wrong, by a registry that does it (faulty_registry.py): which answer gives which
event, with which evidence; what never leaves this machine; that nothing wrong is stored."""
import email.utils
import json
import socket
import time

import pytest

from corpus_runner import assert_answered
from faulty_registry import (REPOSITORY, SECRET, TAG, TOKEN, USER, Answer, FaultyRegistry, Image, body, changed,
                             json_answer, redirect, silence, status)
from oci_layout import host_platform
from registries import make_certificate
from registry_import import (BUSY, LOGIN, LOST, SHARE, TAGS, arguments, assert_evidence, failed, imported,
                             log_in, lone, path_of, registry)  # noqa: F401
from wholeness import assert_store

FOREIGN = "linux/s390x"


# -- which answer gives which event --

@pytest.mark.parametrize("part, number, reason, kind, attempts", [
    ("manifest", 401, LOGIN, "anonymous", 1), ("layer", 401, LOGIN, "anonymous", 1),
    ("manifest", 403, LOGIN, "denied", 1), ("config", 403, LOGIN, "denied", 1),
    ("layer", 403, LOGIN, "denied", 1),
    ("tags", 404, LOST, "manifest", 1), ("manifest", 404, LOST, "manifest", 1),
    ("config", 404, LOST, "damaged", 1), ("layer", 404, LOST, "damaged", 1),
    ("tags", 429, BUSY, "", 2), ("manifest", 429, BUSY, "", 2), ("layer", 429, BUSY, "", 2),
    ("tags", 500, TAGS, "server_error", 2), ("manifest", 503, TAGS, "server_error", 2),
    ("config", 500, SHARE, "broken", 2), ("layer", 502, SHARE, "broken", 2),
    ("tags", 418, TAGS, "bad_answer", 1), ("layer", 418, SHARE, "broken", 1)])
def test_an_answer_that_stays(lone, registry, part, number, reason, kind, attempts):
    registry.fault(part, status(number, "SOME_CODE"))
    event = failed(lone, registry, reason, kind)
    assert_evidence(event, registry, path_of(registry, part), number, attempts, "SOME_CODE")
    assert len(registry.asked(part)) == attempts
    assert_answered(lone, event)


@pytest.mark.parametrize("number, reason, kind", [(403, TAGS, "denied"), (401, LOGIN, "anonymous")])
def test_a_tag_list_that_is_forbidden_leaves_it_to_the_manifest(lone, registry, number, reason, kind):
    registry.fault("tags", status(number))
    imported(lone, registry)
    registry.fault("manifest", status(number))
    lone.run("delete", "m", "--yes")
    event = lone.run(*arguments(registry.reference)).events[-2]
    assert (event["reason"], event["kind"]) == (reason, kind)
    assert_answered(lone, event)


def test_a_manifest_that_is_forbidden_by_its_digest(lone, registry):
    registry.fault("manifest", status(403))
    reference = f"registry+http://{registry.host}/{REPOSITORY}@{registry.image.digest}"
    failed(lone, registry, LOGIN, "denied", reference=reference)
    assert not registry.asked("tags")


def test_a_tag_that_is_not_there_on_any_page(lone, registry):
    registry.tags = ["2", "10", "latest"]
    event = failed(lone, registry, "ImageTagNotFound", "")
    assert event["evidence"]["tags"] == ["10", "2", "latest"] and event["evidence"]["n"] == 3
    assert_evidence(event, registry, path_of(registry, "tags"), 200, 1)


# -- who asks --

def test_a_login_that_is_wrong(lone, registry):
    for login, path in (("basic", path_of(registry, "manifest")), (300, "/token")):
        registry.login = login
        log_in(lone, registry, "wrong")
        event = failed(lone, registry, LOGIN, "denied")
        assert_evidence(event, registry, path, 401, 1, "UNAUTHORIZED", USER)
        assert event["evidence"]["credential"] == "auth_file"
        assert_answered(lone, event)


def test_a_fresh_token_that_is_refused_too(lone, registry):
    registry.login = -1
    log_in(lone, registry)
    event = failed(lone, registry, LOGIN, "denied")
    assert_evidence(event, registry, path_of(registry, "manifest"), 401, 2, "UNAUTHORIZED", USER)


def test_clocks_that_differ(lone, registry):
    registry.login = -1
    log_in(lone, registry)
    there = {"Date": email.utils.formatdate(time.time() - 4000, usegmt=True)}
    challenge = {"WWW-Authenticate": f'Bearer realm="{registry.realm}",service="tests"'}
    for part in ("tags", "manifest"):
        registry.login = None
        registry.fault(part, status(401, "UNAUTHORIZED", challenge | there))
    registry.fault("token", lambda asked: json_answer({"token": TOKEN}))
    event = failed(lone, registry, LOGIN, "clock")
    assert -4010 < event["evidence"]["clock_skew_s"] < -3990 and event["fix_by"] == "admin"
    assert_answered(lone, event)


@pytest.mark.parametrize("answer, reason, kind, number", [
    (status(503), TAGS, "server_error", 503), (status(429), BUSY, "", 429),
    (body(b"{}"), TAGS, "bad_answer", 200), (body(b'{"token": "a\\r\\nX: y"}'), TAGS, "bad_answer", 200),
    (redirect("http://127.0.0.1:9/token"), LOGIN, "denied", 307), (silence, TAGS, "timeout", None)])
def test_a_token_service_that_fails(lone, registry, answer, reason, kind, number):
    registry.login = 300
    log_in(lone, registry)
    registry.fault("token", answer)
    event = failed(lone, registry, reason, kind)
    assert event["evidence"]["http"]["url"] == registry.realm
    assert event["evidence"]["http"].get("status") == number


def test_a_token_service_that_says_no_in_its_own_words(lone, registry):
    registry.login = 300
    log_in(lone, registry)
    registry.fault("token", lambda asked: json_answer(
        {"error": "invalid_grant", "error_description": "that account is \x1b[31mlocked"}, 400))
    event = failed(lone, registry, LOGIN, "denied")
    assert event["evidence"]["code"] == "invalid_grant" and "locked" in event["summary"]


@pytest.mark.parametrize("realm", [
    "http://elsewhere.example/token", "https://127.0.0.1.elsewhere.example/token", "javascript:alert(1)",
    "file:///etc/passwd", "http://alice:pw@{host}/token", "//{host}/token", "ftp://{host}/token",
    "http://{host}@elsewhere.example/", "\x1b[2Jhttp://{host}/token", "http://[::1]:1/token", ""])
def test_a_realm_that_no_login_goes_to(lone, registry, realm):
    registry.login = 300
    log_in(lone, registry)
    registry.realm = realm.replace("{host}", registry.host)
    event = failed(lone, registry, TAGS, "bad_answer")
    assert not registry.asked("token")
    assert all("authorization" not in asked.headers for asked in registry.requests)
    assert event["evidence"]["http"]["status"] == 401


def test_a_realm_elsewhere_that_the_settings_allow(lone, registry):
    """localhost is another name than 127.0.0.1."""
    registry.login = 300
    log_in(lone, registry)
    registry.realm = registry.realm.replace("127.0.0.1", "localhost")
    event = failed(lone, registry, TAGS, "bad_answer")
    assert "registry.token_hosts" in event["summary"]
    imported(lone, registry, "--set", "registry.token_hosts=auth.example localhost", reference=registry.reference)
    assert registry.asked("token")[0].query["scope"] == [f"repository:{REPOSITORY}:pull"]


# -- over TLS --

@pytest.fixture
def over_tls(lone, tmp_path):
    """A registry over TLS, which is trusted."""
    (tmp_path / "tls").mkdir()
    lone.environment["WAYBILL_REGISTRY_CA_FILE"] = str(make_certificate(tmp_path / "tls"))
    with FaultyRegistry(tls=tmp_path / "tls") as running:
        yield running


def test_a_login_over_tls(lone, over_tls):
    over_tls.login = 300
    log_in(lone, over_tls)
    imported(lone, over_tls)


def test_a_login_goes_to_no_token_service_without_tls(lone, over_tls):
    with FaultyRegistry(over_tls.image) as elsewhere:
        over_tls.login, over_tls.realm = 300, elsewhere.realm
        log_in(lone, over_tls)
        failed(lone, over_tls, TAGS, "bad_answer")
        assert elsewhere.requests == []


def test_a_registry_over_tls_leads_to_nothing_without(lone, over_tls):
    with FaultyRegistry(over_tls.image) as elsewhere:
        over_tls.fault("layer", redirect(lambda asked: elsewhere.url + asked.path))
        failed(lone, over_tls, SHARE, "broken")
        assert elsewhere.requests == [] and len(over_tls.asked("layer")) == 1


# -- connections --

def test_a_name_that_nobody_knows(lone, registry):
    event = failed(lone, registry, TAGS, "dns", reference="nowhere.invalid/team/app:1")
    assert_answered(lone, event)
    assert event["evidence"]["attempts"] == 1 and event["evidence"]["peer"] == {"host": "nowhere.invalid"}


def test_a_token_service_where_nobody_listens_is_named(lone, registry):
    registry.login = 300
    with socket.create_server(("127.0.0.1", 0)) as closed:
        registry.realm = "http://127.0.0.1:%d/token" % closed.getsockname()[1]
    event = failed(lone, registry, TAGS, "refused")
    assert event["evidence"]["host"] == registry.realm.split("/")[2] in event["summary"]
    assert event["evidence"]["registry"] == registry.host


# -- redirects --

def test_blobs_elsewhere_are_asked_for_without_the_login(lone, registry):
    registry.login = 300
    log_in(lone, registry)
    with FaultyRegistry(registry.image) as elsewhere:
        for target in (elsewhere.url, elsewhere.url.replace("127.0.0.1", "localhost")):
            registry.faults.clear()
            registry.fault("blob", redirect(lambda asked: f"{target}{asked.path}?signature={SECRET}"))
            lone.run("delete", "m", "--yes")
            lone.run("gc")
            imported(lone, registry)
        assert elsewhere.asked("layer") and elsewhere.asked("config")
        assert all("authorization" not in asked.headers for asked in elsewhere.requests)
        assert all(asked.headers["authorization"].startswith(f"Bearer {TOKEN}")
                   for asked in registry.asked("layer"))


def test_a_redirect_that_fails_names_no_signature(lone, registry):
    with FaultyRegistry(registry.image) as elsewhere:
        elsewhere.fault("layer", status(403))
        registry.fault("layer", redirect(lambda asked: f"{elsewhere.url}{asked.path}?signature={SECRET}"))
        event = failed(lone, registry, LOGIN, "denied")
        assert_evidence(event, registry, path_of(registry, "layer"), 403, 1, "DENIED")
        assert event["evidence"]["peer"]["host"] == elsewhere.host


@pytest.mark.parametrize("target", ["{url}{path}", "file:///etc/passwd", "gopher://127.0.0.1:9/"])
def test_redirects_that_lead_nowhere(lone, registry, target):
    registry.fault("layer", redirect(
        lambda asked: target.replace("{url}", registry.url).replace("{path}", asked.path)))
    failed(lone, registry, SHARE, "broken")
    assert len(registry.asked("layer")) <= 6


def other_address():
    """One of this machine's that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def test_a_registry_elsewhere_leads_to_no_service_of_this_machine(lone):
    address = other_address()
    if address.startswith("127."):
        pytest.skip("this machine has loopback only")
    with FaultyRegistry(address=address) as registry, FaultyRegistry(registry.image) as service:
        registry.fault("layer", redirect(lambda asked: service.url + asked.path))
        event = failed(lone, registry, SHARE, "broken")
        assert service.requests == [] and "an address of this machine" in event["summary"]
        registry.faults.clear()
        registry.fault("layer", redirect(lambda asked: f"{registry.url}{asked.path}?again"), times=1)
        imported(lone, registry)


# -- bytes --

def test_a_blob_that_is_cut_at_every_quarter_is_taken_up_there(lone, registry):
    size = len(registry.image.layer)
    registry.fault("layer", changed(registry, sent=size // 4), times=3)
    imported(lone, registry)
    assert [asked.begin for asked in registry.asked("layer")] == [0, size // 4, size // 2, 3 * size // 4]
    assert registry.bytes_sent <= 1.1 * size


def test_a_range_that_is_ignored(lone, registry):
    registry.fault("layer", changed(registry, sent=300_001), times=1)
    registry.fault("layer", lambda asked: Answer(200, registry.image.layer))
    imported(lone, registry)
    assert len(registry.asked("layer")) == 2


def test_a_token_that_ends_while_a_blob_is_read(lone, registry):
    registry.login = 1
    log_in(lone, registry)
    size = len(registry.image.layer)
    registry.fault("layer", changed(registry, sent=size // 4), times=3)
    imported(lone, registry)
    assert len(registry.asked("token")) > 1


def test_a_blob_whose_end_nothing_tells(lone, registry):
    registry.fault("layer", changed(registry, sent=300_000, length=-1), times=1)
    registry.fault("layer", changed(registry, length=-1))
    imported(lone, registry)


def test_a_connection_that_breaks_behind_the_last_byte(lone, registry):
    size = len(registry.image.layer)
    registry.fault("layer", changed(registry, length=size + 1000))
    imported(lone, registry)
    assert len(registry.asked("layer")) == 1


def test_a_blob_of_which_each_connection_brings_one_byte(lone, registry):
    registry.fault("layer", changed(registry, sent=1))
    event = failed(lone, registry, SHARE, "broken")
    assert event["evidence"]["attempts"] == 2 and len(registry.asked("layer")) == 2


def test_a_blob_that_drips(lone, registry):
    registry.fault("layer", changed(registry, drip=True))
    event = failed(lone, registry, SHARE, "broken")
    assert event["evidence"]["attempts"] == 2 and "too slow" in event["summary"].lower()


def test_a_realm_that_no_login_goes_to_within_a_blob(lone, registry):
    log_in(lone, registry)
    challenge = {"WWW-Authenticate": 'Bearer realm="https://elsewhere.example/token"'}
    registry.fault("layer", status(401, "UNAUTHORIZED", challenge))
    event = failed(lone, registry, SHARE, "broken")
    assert_evidence(event, registry, path_of(registry, "layer"), 401, 1, "UNAUTHORIZED", USER)
    assert "elsewhere.example" in event["summary"]


@pytest.mark.parametrize("part, content", [
    ("layer", lambda sound: sound.body[:-1]), ("layer", lambda sound: sound.body + b"x"),
    ("layer", lambda sound: b"x" + sound.body[1:]), ("layer", lambda sound: b""),
    ("config", lambda sound: sound.body + b" ")])
def test_a_blob_that_is_another_one(lone, registry, part, content):
    registry.fault(part, changed(registry, body=content))
    event = failed(lone, registry, LOST, "damaged")
    path = path_of(registry, part)
    assert event["evidence"]["digest"] == path.split("/")[-1] == event["evidence"]["expected"]
    assert event["fix_by"] == "admin"


def test_a_manifest_that_is_another_one(lone, registry):
    registry.fault("manifest", changed(registry, body=lambda sound: sound.body + b" "))
    reference = f"registry+http://{registry.host}/{REPOSITORY}@{registry.image.digest}"
    event = failed(lone, registry, LOST, "damaged", reference=reference)
    assert event["evidence"]["digest"] == registry.image.digest
    assert event["evidence"]["found"].startswith("sha256:")


@pytest.mark.parametrize("part, content", [
    ("tags", b"<html>"), ("tags", b"[]"), ("tags", b'{"tags": [1]}'), ("tags", b""),
    ("manifest", b"<html>\x1b[2J"), ("manifest", b"[]"), ("manifest", b"{}"),
    ("manifest", b'{"schemaVersion": 1}'), ("manifest", b'{"schemaVersion": 2, "mediaType": "\\u001b[2J"}')])
def test_what_is_no_answer_of_a_registry(lone, registry, part, content):
    registry.fault(part, body(content, Content_Type="text/html"))
    event = failed(lone, registry, TAGS, "bad_answer")
    assert_answered(lone, event)


@pytest.mark.parametrize("part", ["tags", "manifest"])
def test_an_answer_that_is_too_large(lone, registry, part):
    registry.fault(part, body(b" " * 50_000_000))
    event = failed(lone, registry, TAGS, "bad_answer")
    assert_evidence(event, registry, path_of(registry, part), 200, 1)


def test_an_answer_of_too_many_headers(lone, registry):
    registry.fault("tags", lambda asked: Answer(200, b"{}", {f"X-{i}": "x" * 8000 for i in range(90)}))
    assert_answered(lone, failed(lone, registry, TAGS, "broken"))


@pytest.mark.parametrize("media_type", ["text/plain", "application/json; charset=utf-8", ""])
def test_a_wrong_content_type(lone, registry, media_type):
    for digest, (content, kind) in list(registry.image.manifests.items()):
        named = json.dumps(json.loads(content) | {"mediaType": kind}).encode()
        registry.image.digest = registry.image.put(named, media_type)["digest"]
    imported(lone, registry)


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_of_platforms(lone, docker):
    with FaultyRegistry(Image(1000, [FOREIGN, host_platform()], docker)) as registry:
        imported(lone, registry)


def test_an_index_without_the_platform(lone):
    with FaultyRegistry(Image(1000, [FOREIGN, "linux/riscv64"])) as registry:
        event = failed(lone, registry, LOST, "platform")
        assert event["evidence"]["found"] == [FOREIGN, "linux/riscv64"]


# -- tags in pages --

def pages(registry, tags, link):
    """One tag a page; link: the next one's address."""
    def answer(asked):
        number = int(asked.query.get("last", ["0"])[0])
        more = number + 1 < len(tags)
        headers = {"Link": f'<{link(registry, number + 1)}>; rel="next"'} if more else {}
        return json_answer({"tags": [tags[number]]}, headers=headers)
    registry.fault("tags", answer)


@pytest.mark.parametrize("link", [
    lambda registry, number: f"/v2/{REPOSITORY}/tags/list?n=1&last={number}",
    lambda registry, number: f"{registry.url}/v2/{REPOSITORY}/tags/list?n=1&last={number}"])
def test_a_tag_on_the_third_page(lone, registry, link):
    pages(registry, ["a", "b", TAG, "z"], link)
    imported(lone, registry)
    assert len(registry.asked("tags")) == 2 * 3  # it is looked for twice: its size, its copy


def test_a_tag_list_that_never_ends(lone, registry):
    registry.fault("tags", lambda asked: json_answer(
        {"tags": ["a", "b"]}, headers={"Link": f'</v2/{REPOSITORY}/tags/list?last=b>; rel="next"'}))
    event = failed(lone, registry, TAGS, "bad_answer")
    assert "does not end" in event["summary"] and len(registry.asked("tags")) <= 1000


@pytest.mark.parametrize("link", ["http://elsewhere.example/v2/x", "file:///etc/passwd", "//elsewhere/v2/"])
def test_a_tag_list_that_goes_on_elsewhere(lone, registry, link):
    pages(registry, ["a", TAG], lambda *_: link)
    failed(lone, registry, TAGS, "bad_answer")
    assert len(registry.asked("tags")) == 1


# -- what is shown --

ESCAPES = "\x1b]0;owned\x07\x1b[2J \u202e end"


def test_escape_codes_come_out_escaped(lone, registry):
    registry.fault("manifest", status(403, ESCAPES, message=ESCAPES))
    event = failed(lone, registry, LOGIN, "denied")
    assert event["evidence"]["http"]["message"].startswith("\\x1b]0;owned\\x07\\x1b[2J")
    shown = lone.run("events", "m").stdout
    assert "\x1b" not in shown and "\x07" not in shown
    added = lone.run("runtime", "add", "other", "--image", registry.reference)
    assert added.returncode == 1 and registry.host in added.stderr
    assert "\x1b" not in added.stderr and "\x07" not in added.stderr


@pytest.mark.parametrize("part, answer", [
    ("manifest", body(b"\x1b[2J", Content_Type="application/vnd.oci.image.manifest.v1+json")),
    ("manifest", body(b"{}", Content_Type="application/vnd.\x1b[2J")),
    ("layer", status(500, "\x1b[2J"))])
def test_a_base_image_that_cannot_be_added(lone, registry, part, answer):
    registry.fault(part, answer)
    added = lone.run("runtime", "add", "other", "--image", registry.reference)
    assert added.returncode == 1 and added.stderr and "\x1b" not in added.stderr, added
    assert "other" not in lone.run("runtime", "list").stdout
    assert_store(lone)
