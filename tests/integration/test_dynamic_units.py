"""Parts of the dynamic loading by themselves: signatures, listings, challenges, addresses."""
import hashlib
import http.client
import json
import random
import socket
import sys
import threading
import time

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "runtime/python"))

from waybill_service.fetch import challenge, listing, model_files, proxy, s3, s3_sign  # noqa: E402
from waybill_service.fetch import settings, sources, web  # noqa: E402
from waybill_service.fetch.download import Download  # noqa: E402
from waybill_service.fetch.failure import Refused, Trouble, Unfetched  # noqa: E402
from waybill_service.fetch.logins import find_login  # noqa: E402
from waybill_service.fetch.part import Part  # noqa: E402
from waybill_service.fetch.place import Place  # noqa: E402
from waybill_service.fetch.progress import Progress  # noqa: E402
from waybill_service.fetch.stretches import Stretches  # noqa: E402
from waybill_service.fetch.web import Client, failure_of, retry_after  # noqa: E402

# "Authenticating Requests: Using the Authorization Header", examplebucket, as test_s3_sign.c has them.
HOST = "examplebucket.s3.amazonaws.com"
KEYS = s3_sign.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
TIME = 1369353600  # 2013-05-24T00:00:00Z
EXAMPLES = [
    ("GET", "/test.txt", "", {"range": "bytes=0-9"}, s3_sign.NO_PAYLOAD,
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("GET", "/", "lifecycle=", {}, s3_sign.NO_PAYLOAD, "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/", "max-keys=2&prefix=J", {}, s3_sign.NO_PAYLOAD,
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ("PUT", "/test%24file.text", "",
     {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
]


@pytest.mark.parametrize("method, path, query, headers, payload, names, signature", EXAMPLES)
def test_signatures_of_the_published_examples(method, path, query, headers, payload, names, signature):
    signed = s3_sign.sign(method, path, query, {"host": HOST} | headers, KEYS, "us-east-1", TIME,
                          payload)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}")


def test_a_session_token_is_signed_and_sent():
    keys = s3_sign.Credentials("AK", "SK", "t/o+k=")
    signed = s3_sign.sign("GET", "/", "", {"host": HOST}, keys, "us-east-1", TIME)
    assert signed["x-amz-security-token"] == "t/o+k="
    assert ";x-amz-security-token," in signed["authorization"]
    assert "SK" not in repr(keys) and "t/o" not in repr(keys)


@pytest.mark.parametrize("endpoint, bucket, base, path", [
    ("http://127.0.0.1:9000", "b", "http://127.0.0.1:9000", "/b/"),
    ("http://[::1]:9000", "b", "http://[::1]:9000", "/b/"),
    ("http://minio:9000", "b", "http://minio:9000", "/b/"),
    ("https://s3.eu-west-1.amazonaws.com", "b", "https://b.s3.eu-west-1.amazonaws.com", "/"),
    ("https://s3.eu-west-1.amazonaws.com", "b.c", "https://s3.eu-west-1.amazonaws.com", "/b.c/"),
])
def test_a_bucket_is_a_name_or_a_path(endpoint, bucket, base, path):
    assert s3.base_of(endpoint, bucket) == (base, path)


# -- the listing --

FILE = {"path": "a", "size": 1, "digest": "sha256:" + "a" * 64}


def made(*changes, **top):
    return json.dumps({"version": 1, "repository": "a/b", "files": [FILE | c for c in changes]}
                      | top).encode()


def test_a_listing_is_read():
    found = listing.parse_listing(made({}, {"path": "b/c d/é"}, note=1))
    assert [file.path for file in found.files] == ["a", "b/c d/é"] and found.repository == "a/b"
    assert listing.parse_listing(made()).files == ()


BAD = [
    *[(made({"path": path}), said) for path, said in [
        ("/etc/passwd", "absolute"), ("../x", "empty part, . or .."), ("a/../../x", ". or .."),
        ("a//b", "empty part"), ("a/", "empty part"), ("./a", ". or .."), ("", "expected a text"),
        (None, "expected a text"), (["a"], "expected a text"), ("a\0b", "control characters"),
        ("a\nb", "control characters"), ("a\x85", "control characters"), ("\ud800", "no UTF-8"),
        ("x" * 256, "too long"), ("a/" * 2000 + "b", "too long"),
        (".waybill-part-x", "the service's own")]],
    *[(made({"size": size}), "the size is") for size in (-1, True, 1.5, "1", None, 1 << 63)],
    *[(made({"digest": digest}), "the digest is") for digest in (
        "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha512:" + "a" * 128, "", None, "a" * 64,
        "sha256:" + "a" * 64 + "\n")],
    (made({}, {}), "a is listed twice"),
    (made({}, {"path": "a/b"}), "a is a file and a folder"),
    (made({}, {"path": "b", "size": 2}), "differ in size"),
    (made(version=2), "its version is 2"), (made(version=True), "its version is true"),
    (made(version=None), "its version is null"),
    *[(made(repository=name), "the repository is")
      for name in ("", None, "a/../b", "/a", "A/b", "a?b")],
    (made(files={}), "files is no list"), (made(files=[1]), "file 1 is no object"),
    (b"", "no JSON"), (b"[]", "no JSON object"), (b"\xff", "no JSON"), (b'{"version":NaN}', "no JSON"),
    (b'{"version":1,"version":1}', "stands twice"), (b"[" * 100_000, "no JSON"),
]


@pytest.mark.parametrize("raw, said", BAD, ids=range(len(BAD)))
def test_a_listing_is_read_strictly(raw, said):
    with pytest.raises(listing.BadListing, match=said):
        listing.parse_listing(raw)


def test_a_listing_has_a_limit_and_may_be_missing(tmp_path):
    assert listing.read_listing(tmp_path / "none") is None
    with open(tmp_path / "large", "wb") as file:
        file.truncate(listing.LIMIT + 1)
    with pytest.raises(listing.BadListing, match="larger than 64 MiB"):
        listing.read_listing(tmp_path / "large")


# -- registries --

def test_challenges_are_read():
    assert challenge.parse_challenges(
        'Basic realm="a \\"b\\"", Bearer realm="https://x/t?y=1",service=s, scope="repository:a:pull"'
    ) == {"basic": {"realm": 'a "b"'},
          "bearer": {"realm": "https://x/t?y=1", "service": "s", "scope": "repository:a:pull"}}
    assert challenge.parse_challenges("") == {}


@pytest.mark.parametrize("realm, registry, fine", [
    ("https://auth.example/token", "https://registry.example", True),
    ("http://auth.example/token", "https://registry.example", False),
    ("http://registry.example/token", "https://registry.example", False),
    ("http://registry.example:5001/token", "http://registry.example:5000", True),
    ("http://other.example/token", "http://registry.example:5000", False),
    ("https://user:word@auth.example/", "https://registry.example", False),
    ("file:///etc/passwd", "https://registry.example", False),
    ("/token", "https://registry.example", False),
])
def test_a_login_goes_over_tls_or_to_the_same_host(realm, registry, fine):
    if fine:
        challenge.check_realm(realm, registry)
    else:
        with pytest.raises(Refused, match="expected a token service over https"):
            challenge.check_realm(realm, registry)


@pytest.mark.parametrize("key", ["r.example:5000/team/net", "r.example:5000/team", "r.example:5000",
                                 "https://r.example:5000/v2/", "http://r.example:5000"])
def test_logins_of_a_file_come_before_the_variables(tmp_path, key):
    (tmp_path / "auth").write_text(json.dumps({"auths": {
        key: {"auth": "YTpi"}, "other.example": {"auth": "Yzpk"}}}))
    given = settings.FetchSettings(user="u", password="p", auth_file=str(tmp_path / "auth"))
    login = find_login(given, "r.example:5000", "team/net")
    assert (login.user, login.secret) == ("a", "b") and "b" not in repr(login).replace("Login", "")
    assert find_login(given, "third.example", "team/net").user == "u"
    assert "'p'" not in repr(given)


@pytest.mark.parametrize("entry, expected", [
    ({"username": "a", "password": "b"}, ("a", "b")), ({"username": "a", "password": "b", "auth": "Yzpk"}, ("c", "d")),
    ({"username": "a"}, None), ({"username": 1, "password": "b"}, None), ({"auth": 1}, None), ({}, None)])
def test_an_entry_may_be_a_secret_of_kubernetes(tmp_path, entry, expected):
    (tmp_path / "auth").write_text(json.dumps({"auths": {"r.example": entry}}))
    login = find_login(settings.FetchSettings(auth_file=str(tmp_path / "auth")), "r.example", "net")
    assert (login and (login.user, login.secret)) == expected


@pytest.mark.parametrize("source, said", [
    ("mnt/model", "entry 1: expected a directory"), ("http://x", "entry 1: expected a directory"),
    ("/a registry://", "entry 2: expected registry://HOST"), ("s3://", "expected s3://BUCKET"),
    ("s3://b/../c", "expected s3://BUCKET"), ("registry://u:secret@h", "a login in the address"),
    ("registry://h/a?b", "no \\? and no #"), ("registry://h:x", "it is no address"),
    ("file://host/a", "expected a directory"), ("registry://h/../a", "expected registry://HOST"),
    *[("registry://bob:secret%sx@reg" % mark, "a login in the address") for mark in "#/?"],
    ("registry://bob:secret", "it is no address; expected"), ("s3://k:secret/x@b", "a login"),
    ("file://bob:secret/x@b", "a login"),
])
def test_a_bad_source_is_named_and_its_password_is_not(source, said):
    with pytest.raises(Refused, match=said) as failure:
        sources.make_sources(settings.FetchSettings(source=source), "a/b")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("mark", "#/?")
def test_an_endpoint_has_no_login(mark):
    given = settings.FetchSettings(source="s3://bk", endpoint="http://bob:123%sx@reg" % mark)
    with pytest.raises(Refused, match="AWS_ENDPOINT_URL is no http") as failure:
        sources.make_sources(given, "a/b")
    assert "123" not in str(failure.value)


def test_sources_are_read_in_their_order():
    found = sources.make_sources(settings.FetchSettings(
        source=" /mnt/a  file:///mnt/b%20c registry://h:5000/ns registry+http://g s3://bk/p/q/ "
               "/mnt/d@1 file:///mnt/e@1 s3://bk/p@1"), "a/b")
    assert [source.name for source in found] == [
        "/mnt/a", "/mnt/b c", "h:5000", "g", "s3://bk at s3.us-east-1.amazonaws.com",
        "/mnt/d@1", "/mnt/e@1", "s3://bk at s3.us-east-1.amazonaws.com"]
    assert (found[2].base, found[2].repository) == ("https://h:5000", "ns/a/b")
    assert (found[3].base, found[3].repository) == ("http://g", "a/b")
    assert (found[4].base, found[4].path) == ("https://bk.s3.us-east-1.amazonaws.com", "/p/q/")


# -- what is not shown --

def test_the_end_of_a_line_is_no_part_of_a_key():
    given = settings.read_fetch_settings({
        "AWS_ACCESS_KEY_ID": " ak\n", "AWS_SECRET_ACCESS_KEY": "sk\r\n", "AWS_SESSION_TOKEN": "st\n",
        "AWS_REGION": " ", "AWS_DEFAULT_REGION": "r\n", "WAYBILL_MODEL_PASSWORD": " p "})
    assert (given.access_key, given.secret_key, given.session_token) == ("ak", "sk", "st")
    assert (given.region, given.password) == ("r", " p ")
    assert settings.read_fetch_settings({"AWS_REGION": "\n"}).region == "us-east-1"


@pytest.mark.parametrize("variable, value", [
    *[(variable, value) for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                         "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL")
      for value in ("secret\nx", "secret\udcff", "secret\xe9", "secret\x7f")],
    ("WAYBILL_MODEL_PASSWORD", "secret\udcff"), ("WAYBILL_MODEL_USER", "secret\udcff")])
def test_a_setting_that_cannot_be_sent_is_named_without_its_value(variable, value):
    with pytest.raises(Refused, match=variable + " (has characters|is no UTF-8)") as failure:
        settings.read_fetch_settings({variable: value})
    assert "secret" not in str(failure.value)


def test_a_proxys_login_is_not_shown(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://u:secret\udcff@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Refused, match="http_proxy is no http") as failure:
        proxy.proxy_of(("http", "h", 80))
    assert "secret" not in str(failure.value)


class Leaking:
    """A source with a fault: its exception has a secret in it."""
    name = "leaking"

    def open(self, client, file, begin, end):
        text = "Invalid header value b's-ecret'"
        raise ValueError(text)


def assert_fault_without_text(text, logged):
    for shown in (text, logged):
        assert "ValueError" in shown and "s-ecret" not in shown and "Invalid" not in shown
    assert 'test_dynamic_units.py", line' in logged  # the way there


def test_a_fault_shows_its_place_and_not_its_text(tmp_path, capsys):
    listed = listing.parse_listing(made({}))
    download = Download(listed, Place(str(tmp_path)), [Leaking()], 2, None, Progress(1, 1))
    with pytest.raises(Unfetched) as failure:
        download.run()
    assert "has a fault: ValueError (test_dynamic_units.py:" in str(failure.value)
    assert_fault_without_text(str(failure.value), capsys.readouterr().out)


def test_a_fault_before_the_first_file_shows_no_text(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(model_files, "make_sources", lambda *_: Leaking().open(*[None] * 4))
    files = model_files.ModelFiles(listing.parse_listing(made({})), str(tmp_path))
    assert not files.fetch() and files.status() == "failed" and files.retry_after() is None
    assert_fault_without_text(files.reason(), capsys.readouterr().out)


# -- connections --

ORIGIN = ("http", "h", 80)


def test_what_is_told_of_a_connection_that_failed():
    for error, said in [
            (http.client.InvalidURL("nonnumeric port: 'secret'"), "h failed: InvalidURL"),
            (http.client.BadStatusLine("secret"), "h failed: BadStatusLine"),
            (http.client.RemoteDisconnected("Remote end closed"), "h failed: Remote end closed"),
            (ConnectionRefusedError(111, "Connection refused"), "h failed: Connection refused"),
            (TimeoutError(110, "Connection timed out"), "h failed: Connection timed out"),
            (TimeoutError("timed out"), "h said nothing for 7 s")]:
        assert str(failure_of(error, ORIGIN, 7)).endswith(said)


def test_a_connect_says_how_long_it_waited(monkeypatch):
    monkeypatch.setattr(web, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(Trouble, match="said nothing for 1 s"):
            Client(web.make_context("")).ask("https://127.0.0.1:%d/" % silent.getsockname()[1], {})


@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
def test_an_abort_ends_the_wait_for_a_body(fields):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            peer = server.accept()[0]
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + fields + b"\r\n")
            peers.append(peer)
        peers, client = [], Client(None)
        threading.Thread(target=serve, daemon=True).start()
        reply = client.ask("http://127.0.0.1:%d/" % server.getsockname()[1], {})
        threading.Timer(0.2, client.abort).start()
        began = time.monotonic()
        with pytest.raises(Trouble, match="5 bytes too early"):
            reply.read(5)
        assert time.monotonic() - began < 5
        reply.finish()
        client.abort()  # of what is closed
        with pytest.raises(Trouble, match="ConnectionAbortedError"):
            client.ask("http://127.0.0.1:%d/" % server.getsockname()[1], {})


def test_an_abort_may_meet_a_connection_that_ends():
    class Ending:
        socks = [None, socket.socket()]
        sock = property(lambda self: self.socks.pop())
    client = Client(None)
    client.connections[ORIGIN] = Ending(), None
    client.abort()


def test_retry_after_has_two_forms_and_a_limit():
    assert [retry_after(text) for text in ("3", "100000", "", None, "soon", "-1")] == [
        3, 60, None, None, None, None]
    assert retry_after("Fri, 24 May 2013 00:00:00 GMT") == 0
    assert retry_after("Fri, 24 May 2113 00:00:00 GMT") == 60


def test_stretches_are_what_a_set_of_bytes_is():
    chance = random.Random(5)
    for _ in range(200):
        stretches, there = Stretches(), set()
        for _ in range(chance.randrange(12)):
            begin = chance.randrange(40)
            end = begin + chance.randrange(12)
            new = set(range(begin, end)) - there
            assert stretches.add(begin, end) == len(new)
            there |= new
        assert stretches.bytes == len(there)
        assert stretches.prefix() == next(at for at in range(60) if at not in there)
        missing = {at for begin, end in stretches.gaps(60) for at in range(begin, end)}
        assert missing == set(range(60)) - there
        begin, end = sorted((chance.randrange(60), chance.randrange(60)))
        missing = {at for gap in stretches.missing(begin, end) for at in range(*gap)}
        assert missing == set(range(begin, end)) - there


def test_what_the_digest_has_passed_is_not_written_again(tmp_path):
    file = listing.ListedFile("a", 12, "sha256:" + "0" * 64)
    part = Part(Place(str(tmp_path)), file, [])
    part.write(b"right", 0)
    assert part.note(0, 5) == 5
    part.hash_on()
    part.write(b"wrongwrong12", 0)  # another answer, which gives the whole file
    assert part.note(0, 12) == 7
    expected = b"rightwrong12"
    assert part.digest() == "sha256:" + hashlib.sha256(expected).hexdigest()
    part.publish()
    part.close()
    assert (tmp_path / "a").read_bytes() == expected
