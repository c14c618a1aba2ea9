"""The registry at /v2/, by the four categories of the OCI distribution-spec 1.1: pull, push, content
discovery, content management."""
import json

import pytest

from v2_client import (DOCKER_LIST, DOCKER_MANIFEST, NOWHERE, OCI_INDEX, OCI_MANIFEST, Registry,
                      code, describe, digest_of, manifest_of)

LAYERS = (b"first layer", b"second layer" * 1000)


@pytest.fixture
def registry(server):
    return Registry(server)


# -- determining support --

def test_the_version_is_told(server):
    for path in ("/v2/", "/v2"):
        answer = server.ask("GET", path)
        assert (answer.status, answer.json) == (200, {})
        assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


# -- pull --

@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_is_pulled_as_it_was_pushed(registry, by, media_type):
    manifest = registry.push_image("1.0", LAYERS, media_type=media_type)
    path = "/manifests/" + ("1.0" if by == "tag" else digest_of(manifest))
    head, got = registry.ask("HEAD", path), registry.ask("GET", path)
    assert (head.status, head.body, got.status, got.body) == (200, b"", 200, manifest)
    for answer in (head, got):
        assert answer.headers["content-type"] == media_type
        assert answer.headers["docker-content-digest"] == digest_of(manifest)
        assert answer.headers["content-length"] == str(len(manifest))


def test_a_manifest_that_is_not_there(registry):
    registry.push_image("1.0")
    for reference in ("2.0", NOWHERE):
        assert registry.ask("HEAD", f"/manifests/{reference}").status == 404
        assert code(registry.ask("GET", f"/manifests/{reference}")) == (404, "MANIFEST_UNKNOWN")
    nobody = Registry(registry.server, "default/nobody")
    assert nobody.ask("GET", "/manifests/1.0").status == 404


def test_a_blob_is_pulled_whole_and_in_parts(registry):
    data = bytes(range(256)) * 400
    path = "/blobs/" + registry.push_blob(data)
    head, got = registry.ask("HEAD", path), registry.ask("GET", path)
    assert (head.status, head.body, got.status, got.body) == (200, b"", 200, data)
    for answer in (head, got):
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["docker-content-digest"] == digest_of(data)
        assert answer.headers["accept-ranges"] == "bytes"
    for wanted, part in [("bytes=0-0", data[:1]), ("bytes=100-4999", data[100:5000]),
                         ("bytes=100000-", data[100000:]), ("bytes=-7", data[-7:]),
                         ("bytes=5-999999999", data[5:])]:
        answer = registry.ask("GET", path, headers={"Range": wanted})
        at = len(data) - 7 if wanted == "bytes=-7" else int(wanted[6:].split("-")[0])
        assert (answer.status, answer.body) == (206, part), wanted
        assert answer.headers["content-range"] == f"bytes {at}-{at + len(part) - 1}/{len(data)}"
    for wanted in ("bytes=102400-", "bytes=999999-1000000", "bytes=-0"):
        answer = registry.ask("GET", path, headers={"Range": wanted})
        assert code(answer) == (416, "RANGE_INVALID"), wanted
        assert answer.headers["content-range"] == f"bytes */{len(data)}"
    for wanted in ("bytes=9-5", "lines=0-5", "bytes=a-b", "bytes=0-1,5-6", "bytes=--5",
                   "bytes=99999999999999999999-", "bytes=", "bytes=-"):
        answer = registry.ask("GET", path, headers={"Range": wanted})
        assert (answer.status, answer.body) == (200, data), wanted


def test_what_is_known_is_not_sent_again(registry):
    registry.push_image("1")
    for path in ("/manifests/1", "/blobs/" + digest_of(b"layer")):
        tag = registry.ask("GET", path).headers["etag"]
        again = registry.ask("GET", path, headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        part = registry.ask("GET", path, headers={"Range": "bytes=1-2", "If-Range": tag})
        assert part.status == 206
        whole = registry.ask("GET", path, headers={"Range": "bytes=1-2", "If-Range": '"another"'})
        assert whole.status == 200


def test_a_blob_that_is_not_there(registry):
    registry.push_image("1")
    assert registry.ask("HEAD", "/blobs/" + NOWHERE).status == 404
    answer = registry.ask("GET", "/blobs/" + NOWHERE)
    assert code(answer) == (404, "BLOB_UNKNOWN")
    assert answer.json["errors"][0]["detail"] == {"digest": NOWHERE}


# -- push --

def created(registry, answer, data):
    assert answer.status == 201, str(answer)
    assert answer.headers["docker-content-digest"] == digest_of(data)
    got = registry.at("GET", answer.headers["location"])
    assert (got.status, got.body) == (200, data)


@pytest.mark.parametrize("data", [b"", b"x", b"blob" * 50000], ids=["empty", "one", "more"])
def test_a_blob_in_post_and_put(registry, data):
    answer = registry.ask("POST", "/blobs/uploads/")
    assert answer.status == 202 and answer.body == b""
    assert answer.headers["location"].startswith("/v2/default/custom/blobs/uploads/")
    assert answer.headers["docker-upload-uuid"] in answer.headers["location"]
    created(registry, registry.at("PUT", answer.headers["location"], data,
                                  digest=digest_of(data)), data)


def test_a_blob_in_one_post(registry):
    data = b"in one" * 1000
    created(registry, registry.ask("POST", "/blobs/uploads/", data, digest=digest_of(data)), data)


def test_a_blob_in_one_stream(registry):
    data = b"streamed" * 5000
    location = registry.start()
    answer = registry.at("PATCH", location, data)
    assert answer.status == 202
    assert answer.headers["range"] == f"0-{len(data) - 1}"
    created(registry, registry.at("PUT", answer.headers["location"],
                                  digest=digest_of(data)), data)


@pytest.mark.parametrize("last_in_put", [False, True])
def test_a_blob_in_chunks(registry, last_in_put):
    chunks = [b"one" * 1000, b"two", b"three" * 3000]
    location, at = registry.start(), 0
    for number, chunk in enumerate(chunks):
        where = {"Content-Range": f"{at}-{at + len(chunk) - 1}"}
        if last_in_put and number == 2:
            break
        answer = registry.at("PATCH", location, chunk, where)
        at += len(chunk)
        assert answer.status == 202 and answer.headers["range"] == f"0-{at - 1}"
        location = answer.headers["location"]
        status = registry.at("GET", location)
        assert (status.status, status.headers["range"]) == (204, f"0-{at - 1}")
        assert status.headers["location"] == location
    data = b"".join(chunks)
    last = (chunks[2], where) if last_in_put else (None, None)
    created(registry, registry.at("PUT", location, *last, digest=digest_of(data)), data)
    assert code(registry.at("GET", location)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on(registry):
    location = registry.start()
    assert registry.at("PATCH", location, b"0123456789", {"Content-Range": "0-9"}).status == 202
    for where in ("20-29", "0-9", "5-14"):
        answer = registry.at("PATCH", location, b"x" * 10, {"Content-Range": where})
        assert code(answer) == (416, "RANGE_INVALID")
        assert answer.headers["range"] == "0-9" and answer.headers["location"] == location
    answer = registry.at("PUT", location, b"xx", {"Content-Range": "8-9"}, digest=NOWHERE)
    assert answer.status == 416
    assert registry.at("PATCH", location, b"ab", {"Content-Range": "10-11"}).status == 202
    data = b"0123456789ab"
    created(registry, registry.at("PUT", location, digest=digest_of(data)), data)


def test_an_upload_is_cancelled(registry):
    location = registry.start()
    assert registry.at("PATCH", location, b"some").status == 202
    assert registry.at("DELETE", location).status == 204
    for method in ("GET", "DELETE", "PATCH", "PUT"):
        answer = registry.at(method, location, digest=NOWHERE)
        assert code(answer) == (404, "BLOB_UPLOAD_UNKNOWN"), method


def test_a_blob_is_mounted(registry):
    digest = registry.push_blob(b"shared")
    other = Registry(registry.server, "default/other")
    assert other.ask("GET", f"/blobs/{digest}").status == 404
    answer = other.ask("POST", "/blobs/uploads/", mount=digest, **{"from": registry.name})
    created(other, answer, b"shared")
    for query in ({"mount": NOWHERE, "from": registry.name}, {"mount": digest, "from": "a/b"},
                  {"mount": "nonsense", "from": registry.name}, {"mount": digest},
                  {"mount": digest, "from": "../x"}):
        answer = Registry(registry.server, "default/third").ask("POST", "/blobs/uploads/", **query)
        assert answer.status == 202, query
        assert "/blobs/uploads/" in answer.headers["location"]


def test_a_digest_that_the_bytes_do_not_have(registry):
    location = registry.start()
    answer = registry.at("PUT", location, b"bytes", digest=digest_of(b"others"))
    assert code(answer) == (400, "DIGEST_INVALID")
    assert code(registry.at("GET", location)) == (404, "BLOB_UPLOAD_UNKNOWN")
    answer = registry.ask("POST", "/blobs/uploads/", b"bytes", digest=digest_of(b"others"))
    assert code(answer) == (400, "DIGEST_INVALID")
    for digest in (digest_of(b"bytes"), digest_of(b"others")):
        assert registry.ask("GET", f"/blobs/{digest}").status == 404


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_is_pushed_by_tag_and_by_digest(registry, media_type):
    manifest = registry.push_image("one", LAYERS, media_type=media_type)
    for reference in ("two", digest_of(manifest)):
        answer = registry.put_manifest(reference, manifest, media_type)
        assert answer.status == 201
        assert answer.headers["docker-content-digest"] == digest_of(manifest)
        assert registry.at("GET", answer.headers["location"]).body == manifest
    assert registry.ask("GET", "/manifests/two").body == manifest


def test_a_tag_moves(registry):
    first = registry.push_image("latest", (b"a",))
    second = registry.push_image("latest", (b"b",))
    assert registry.ask("GET", "/manifests/latest").body == second
    assert registry.ask("GET", "/manifests/" + digest_of(first)).body == first


@pytest.mark.parametrize("image, index", [(OCI_MANIFEST, OCI_INDEX), (DOCKER_MANIFEST, DOCKER_LIST)])
def test_an_index_is_pushed_once_its_manifests_are_there(registry, image, index):
    manifest = manifest_of(b"{}", (b"layer",), image)
    content = json.dumps({"schemaVersion": 2, "mediaType": index,
                          "manifests": [describe(manifest, image)]}).encode()
    answer = registry.put_manifest("all", content, index)
    assert code(answer) == (404, "MANIFEST_BLOB_UNKNOWN")
    registry.push_image(None, media_type=image)
    assert registry.put_manifest("all", content, index).status == 201
    got = registry.ask("GET", "/manifests/all")
    assert (got.body, got.headers["content-type"]) == (content, index)


def test_a_manifest_whose_blobs_are_not_there(registry):
    manifest = manifest_of(b"{}", (b"one", b"two"))
    registry.push_blob(b"one")
    answer = registry.put_manifest("1", manifest)
    assert code(answer) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert [error["detail"]["digest"] for error in answer.json["errors"]] == \
        [digest_of(b"{}"), digest_of(b"two")], "all that is missing"
    assert registry.ask("GET", "/manifests/1").status == 404


# -- content discovery --

def test_tags_are_listed_in_pages(registry):
    assert code(registry.ask("GET", "/tags/list")) == (404, "NAME_UNKNOWN")
    names = ["Alpha", "beta", "beta2", "v1", "v10", "v2"]
    for name in reversed(names):
        registry.push_image(name)
    assert registry.ask("GET", "/tags/list").json == {"name": registry.name, "tags": names}
    page = registry.ask("GET", "/tags/list", n="4")
    assert page.json["tags"] == names[:4]
    link = page.headers["link"]
    assert link.endswith('>; rel="next"')
    page = registry.at("GET", link[1:link.index(">")])
    assert page.json["tags"] == names[4:] and "link" not in page.headers
    assert registry.ask("GET", "/tags/list", last="beta").json["tags"] == names[2:]
    assert registry.ask("GET", "/tags/list", last="beta1").json["tags"] == names[2:]
    assert registry.ask("GET", "/tags/list", n="0").json["tags"] == []
    assert registry.ask("GET", "/tags/list", last="zzz").json["tags"] == []
    assert registry.ask("GET", "/tags/list", n="-1").status == 400


def test_repositories_are_listed(server):
    for name in ("default/b", "default/a/deep", "second/c"):
        Registry(server, name).push_image("1")
    assert server.ask("GET", "/v2/_catalog").json == {
        "repositories": ["default/a/deep", "default/b", "second/c"]}
    page = server.ask("GET", "/v2/_catalog", n="1")
    assert page.json["repositories"] == ["default/a/deep"] and "link" in page.headers


def artifact(subject, kind, **more):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
                       "config": {"mediaType": "application/vnd.oci.empty.v1+json",
                                  "digest": digest_of(b"{}"), "size": 2},
                       "layers": [], "subject": subject} | more).encode()


def test_referrers_are_listed_and_filtered(registry):
    registry.push_blob(b"{}")
    image = manifest_of(b"{}", ())
    path = "/referrers/" + digest_of(image)
    empty = registry.ask("GET", path)
    assert (empty.status, empty.json["manifests"]) == (200, [])
    assert empty.headers["content-type"] == OCI_INDEX
    signature = artifact(describe(image), "test/signature", annotations={"who": "me"})
    sbom = artifact(describe(image), "test/sbom")
    for one in (signature, sbom):  # the subject is not there yet
        answer = registry.put_manifest(digest_of(one), one)
        assert answer.status == 201
        assert answer.headers["oci-subject"] == digest_of(image)
    assert registry.put_manifest("image", image).headers.get("oci-subject") is None
    by_config = json.dumps(json.loads(manifest_of(b"{}", ())) | {"subject": describe(image)}).encode()
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [],
                        "subject": describe(image), "artifactType": "test/index"}).encode()
    assert registry.put_manifest("by-config", by_config).status == 201
    assert registry.put_manifest("index", index, OCI_INDEX).status == 201
    found = {item["digest"]: item for item in registry.ask("GET", path).json["manifests"]}
    assert set(found) == {digest_of(one) for one in (signature, sbom, by_config, index)}
    assert found[digest_of(signature)] == describe(signature) | {
        "artifactType": "test/signature", "annotations": {"who": "me"}}
    assert found[digest_of(by_config)]["artifactType"].endswith("config.v1+json")
    assert found[digest_of(index)] == describe(index, OCI_INDEX) | {"artifactType": "test/index"}
    filtered = registry.ask("GET", path, artifactType="test/sbom")
    assert [item["digest"] for item in filtered.json["manifests"]] == [digest_of(sbom)]
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    pages, where = [], f"/v2/{registry.name}{path}?n=3"
    while where:
        page = registry.at("GET", where)
        pages += page.json["manifests"]
        link = page.headers.get("link")
        where = link and link[1:link.index(">")]
    assert {item["digest"] for item in pages} == set(found) and len(pages) == 4
    assert code(registry.ask("GET", "/referrers/nonsense")) == (400, "DIGEST_INVALID")
    registry.ask("DELETE", "/manifests/" + digest_of(sbom))
    assert len(registry.ask("GET", path).json["manifests"]) == 3


# -- content management --

def test_a_tag_is_deleted_and_the_manifest_stays(registry):
    manifest = registry.push_image("1")
    registry.put_manifest("2", manifest)
    assert registry.ask("DELETE", "/manifests/1").status == 202
    assert code(registry.ask("GET", "/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    assert code(registry.ask("DELETE", "/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("GET", "/tags/list").json["tags"] == ["2"]
    assert registry.ask("GET", "/manifests/" + digest_of(manifest)).status == 200


def test_a_manifest_is_deleted_with_its_tags(registry):
    manifest = registry.push_image("1")
    registry.put_manifest("2", manifest)
    path = "/manifests/" + digest_of(manifest)
    assert registry.ask("DELETE", path).status == 202
    for gone in (path, "/manifests/1", "/manifests/2"):
        assert registry.ask("GET", gone).status == 404
    assert code(registry.ask("DELETE", path)) == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("GET", "/tags/list").json["tags"] == []


def test_a_blob_is_deleted_once_no_manifest_needs_it(registry):
    manifest = registry.push_image("1")
    path = "/blobs/" + digest_of(b"layer")
    answer = registry.ask("DELETE", path)
    assert code(answer) == (405, "UNSUPPORTED")
    assert digest_of(manifest) in answer.json["errors"][0]["message"]
    registry.ask("DELETE", "/manifests/" + digest_of(manifest))
    assert registry.ask("DELETE", path).status == 202
    assert code(registry.ask("GET", path)) == (404, "BLOB_UNKNOWN")
    assert code(registry.ask("DELETE", path)) == (404, "BLOB_UNKNOWN")
