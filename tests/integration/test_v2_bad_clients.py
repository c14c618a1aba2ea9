"""What clients of /v2/ should not send: names, digests, ranges, lengths and documents that are none."""
import json
import os
import socket

import pytest

from v2_client import (DOCKER_MANIFEST, NOWHERE, OCI_INDEX, OCI_MANIFEST, Registry, answer_of, code,
                      digest_of, manifest_of)


@pytest.fixture
def registry(server):
    return Registry(server)


@pytest.mark.parametrize("name", [
    "Default/x", "default/X", "default/-a", "default/a-", "default/a..b", "default/a___b",
    "default//a", "default/a/", "default/%C3%A9", "default/a%20b", "default/a:b", "default/a@b",
    "a/" * 130 + "a", "default/_x", "_x/a", "default/a.", "default/a%00b", "default/a%2Fb",
    "default/../x", "default/..%2Fx", "default/%2e%2e/x", "default/./x", "..", "%2e%2e/%2e%2e",
    "default/a%5Cb", "default/a%0Ab", "default/a%"])
def test_names_that_are_none(server, name):
    for method, path in (("GET", "/tags/list"), ("GET", "/manifests/1"), ("PUT", "/manifests/1"),
                         ("POST", "/blobs/uploads/"), ("GET", "/blobs/" + NOWHERE)):
        status, word = code(server.ask(method, f"/v2/{name}{path}"))
        assert (status, word) in ((400, "NAME_INVALID"), (404, "NAME_UNKNOWN")), (method, path)


@pytest.mark.parametrize("name", ["single", "a.b/c", "default"])
def test_names_that_can_be_no_projects(server, name):
    for path in ("/tags/list", "/manifests/1", "/blobs/" + NOWHERE):
        assert code(server.ask("GET", f"/v2/{name}{path}")) == (404, "NAME_UNKNOWN")
    assert code(server.ask("POST", f"/v2/{name}/blobs/uploads/")) == (404, "NAME_UNKNOWN")


def test_names_may_hold_the_words_of_the_paths(server):
    for name in ("default/blobs", "default/manifests/x", "default/tags/list", "tags/list",
                 "default/blobs/uploads", "v2/v2", "default/a/manifests/b/blobs/c"):
        registry = Registry(server, name)
        manifest = registry.push_image("latest", (name.encode(),))
        assert registry.ask("GET", "/manifests/latest").body == manifest, name
        assert registry.ask("GET", "/tags/list").json == {"name": name, "tags": ["latest"]}
        assert registry.ask("GET", "/blobs/" + digest_of(name.encode())).status == 200


@pytest.mark.parametrize("digest", [
    "sha256:", "sha256:abc", "sha256:" + "A" * 64, "sha256:" + "0" * 63, "sha256:" + "0" * 65,
    "sha256:" + "g" * 64, "sha512:" + "0" * 128, "md5:" + "0" * 32, "sha256", "latest",
    "sha256:..%2F..%2Fetc%2Fpasswd", "sha256:%2e%2e", "sha256:" + "0" * 64 + "%0A", "%20" + NOWHERE,
    NOWHERE.replace("sha256", "SHA256")])
def test_digests_that_are_none(registry, digest):
    registry.push_image("1")
    for method, path in (("GET", "/blobs/"), ("DELETE", "/blobs/"), ("GET", "/referrers/")):
        status, word = code(registry.ask(method, path + digest))
        assert (status, word) in ((400, "DIGEST_INVALID"), (400, "NAME_INVALID")), (method, path)
    location = registry.start()
    assert code(registry.at("PUT", f"{location}?digest={digest}", b"x"))[1] == "DIGEST_INVALID"
    answer = registry.server.ask("POST", f"/v2/{registry.name}/blobs/uploads/?digest={digest}", b"x")
    assert code(answer) == (400, "DIGEST_INVALID")
    if ":" in digest:
        assert registry.ask("GET", "/manifests/" + digest).status == 400
    assert registry.at("PUT", location, b"x", digest=digest_of(b"x")).status == 201


@pytest.mark.parametrize("tag", ["-a", ".a", "a" * 129, "a%20b", "a%2Fb", "a%0A", "%C3%A9", "a+b"])
def test_tags_that_are_none(registry, tag):
    manifest = registry.push_image("1")
    for method in ("GET", "PUT", "DELETE"):
        answer = registry.ask(method, f"/manifests/{tag}", manifest if method == "PUT" else None,
                              {"Content-Type": OCI_MANIFEST})
        assert answer.status == 400, method
        assert code(answer)[1] in ("MANIFEST_INVALID", "NAME_INVALID"), method
    assert registry.ask("GET", "/tags/list").json["tags"] == ["1"]


@pytest.mark.parametrize("where", ["", "x", "5", "-", "0-", "-9", "9-0", "a-b", "0-9/10", "0--9",
                                   "bytes 0-9/10", "0-99999999999999999999", "0-9,20-29", "+0-9",
                                   "0x0-0x9", " 0-9 9", "18446744073709551615-18446744073709551624"])
def test_content_ranges_that_are_none(registry, where):
    location = registry.start()
    for method in ("PATCH", "PUT"):
        answer = registry.at(method, location, b"0123456789", {"Content-Range": where},
                             digest=digest_of(b"0123456789"))
        assert answer.status in (400, 416), method
        assert code(answer)[1] in ("BLOB_UPLOAD_INVALID", "SIZE_INVALID", "RANGE_INVALID"), method
    assert registry.offset(location) == 0


def test_lengths_that_are_not_those_of_the_range(registry):
    location = registry.start()
    answer = registry.at("PATCH", location, b"0123456789", {"Content-Range": "0-4"})
    assert code(answer) == (400, "SIZE_INVALID")
    assert registry.offset(location) == 0
    for sent, kept in ((b"0123456789", 0), (b"01", 2)):
        connection = registry.begin("PATCH", location, sent, headers={"Content-Range": "0-4"})
        connection.send(b"0\r\n\r\n")
        assert code(answer_of(connection)) == (400, "SIZE_INVALID")
        assert registry.offset(location) == kept, "what arrived of the range"


def test_sessions_that_are_none(registry):
    for session in ("none", "..", "%2e%2e", "a%2Fb", "0" * 300,
                    "00000000-0000-0000-0000-000000000000"):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = registry.ask(method, f"/blobs/uploads/{session}", digest=NOWHERE)
            assert answer.status in (400, 404), (method, session)
            code(answer)


def deep(levels):
    return b'{"schemaVersion":2,"x":' + b"[" * levels + b"]" * levels + b"}"


def changed(**fields):
    document = json.loads(manifest_of(b"{}", (b"layer",)))
    document.update(fields)
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


CONFIG = {"mediaType": "x", "digest": NOWHERE, "size": 2}


@pytest.mark.parametrize("manifest", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"schemaVersion":2}', deep(100000),
    changed(schemaVersion=1), changed(schemaVersion="2"), changed(schemaVersion=...),
    changed(mediaType="text/plain"), changed(mediaType=OCI_INDEX), changed(mediaType=7),
    changed(config=...), changed(config=[]), changed(layers=...), changed(layers={}),
    changed(layers=[7]), changed(config=CONFIG | {"digest": "sha256:.."}),
    changed(config=CONFIG | {"digest": "sha256:../../../../etc/passwd"}),
    changed(config=CONFIG | {"size": -1}), changed(config=CONFIG | {"size": "2"}),
    changed(config=CONFIG | {"size": 1.5}), changed(subject="x"), changed(subject={}),
    changed(annotations=[]), changed(annotations={"a": 1}), changed(artifactType=7),
    b'{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}'], ids=lambda text: str(text)[:60])
def test_manifests_that_are_none(registry, manifest):
    registry.push_blob(b"{}")
    registry.push_blob(b"layer")
    assert code(registry.put_manifest("1", manifest)) == (400, "MANIFEST_INVALID")
    assert registry.ask("GET", "/manifests/1").status == 404


def test_types_that_are_none(registry):
    manifest = registry.push_image("1")
    for kind in ("application/json", "application/vnd.docker.distribution.manifest.v1+json", "x",
                 DOCKER_MANIFEST, OCI_INDEX, ""):
        answer = registry.put_manifest("2", manifest, kind)
        assert code(answer) == (400, "MANIFEST_INVALID"), kind
    assert registry.put_manifest("2", manifest, OCI_MANIFEST + "; charset=utf-8").status == 201
    answer = registry.ask("GET", "/manifests/2")
    assert answer.headers["content-type"] == OCI_MANIFEST


def test_a_manifest_under_anothers_digest(registry):
    manifest = registry.push_image("1")
    answer = registry.put_manifest(NOWHERE, manifest)
    assert code(answer) == (400, "DIGEST_INVALID")


def test_a_size_that_is_not_the_blobs(registry):
    registry.push_blob(b"{}")
    registry.push_blob(b"layer")
    document = json.loads(manifest_of(b"{}", (b"layer",)))
    document["layers"][0]["size"] += 1
    answer = registry.put_manifest("1", json.dumps(document).encode())
    assert code(answer) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_layers_that_lie_elsewhere_need_not_be_here(registry):
    registry.push_blob(b"{}")
    document = json.loads(manifest_of(b"{}", ()))
    foreign = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
               "digest": NOWHERE, "size": 7}
    document["layers"] = [foreign | {"urls": ["https://example.com/layer"]}]
    assert registry.put_manifest("1", json.dumps(document).encode()).status == 201
    document["layers"] = [foreign]
    assert registry.put_manifest("2", json.dumps(document).encode()).status == 404


def test_manifests_have_a_size(registry):
    registry.push_blob(b"{}")
    most = 4 << 20
    document = manifest_of(b"{}", ())
    assert registry.put_manifest("1", document + b" " * (most - len(document))).status == 201
    answer = registry.put_manifest("2", document + b" " * (most - len(document) + 1))
    assert code(answer) == (413, "SIZE_INVALID")
    connection = registry.begin("PUT", f"/v2/{registry.name}/manifests/2", b" " * (most + 1),
                                headers={"Content-Type": OCI_MANIFEST})
    connection.send(b"0\r\n\r\n")
    assert code(answer_of(connection)) == (413, "SIZE_INVALID")


def test_a_manifest_of_very_many_blobs(registry):
    registry.push_blob(b"{}")
    layer = json.loads(manifest_of(b"{}", (b"{}",)))["layers"][0]
    many = changed(layers=[layer] * 20000)
    assert registry.put_manifest("1", many).status == 201
    missing = changed(layers=[layer | {"digest": "sha256:%064x" % number} for number in range(20000)])
    answer = registry.put_manifest("2", missing)
    assert code(answer) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert len(answer.json["errors"]) <= 100


def test_methods_and_paths_that_are_none(server):
    assert code(server.ask("POST", "/v2/default/x/manifests/1")) == (405, "UNSUPPORTED")
    assert code(server.ask("PATCH", "/v2/")) == (405, "UNSUPPORTED")
    assert code(server.ask("GET", "/v2/default/x")) == (404, "NAME_UNKNOWN")
    assert code(server.ask("GET", "/v2/default/x/tags")) == (404, "NAME_UNKNOWN")


def test_a_body_that_is_shorter_than_it_says_is_no_blob(registry, ready):
    location = registry.start()
    connection = registry.begin("PUT", f"{location}?digest={digest_of(b'12345')}", b"123", 5)
    connection.sock.shutdown(socket.SHUT_WR)
    connection.close()
    assert registry.ask("GET", "/blobs/" + digest_of(b"12345")).status == 404
    assert os.listdir(ready.data / "images" / "tmp") == []


def test_an_index_of_what_is_a_blob(registry):
    digest = registry.push_blob(b"{}")
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": digest, "size": 2}]}).encode()
    assert code(registry.put_manifest("1", index, OCI_INDEX)) == (404, "MANIFEST_BLOB_UNKNOWN")
