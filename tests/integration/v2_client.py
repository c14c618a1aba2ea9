"""A client of the registry at /v2/ of `waybill serve`, as the distribution-spec describes one."""
import base64
import hashlib
import json
from urllib.parse import urlsplit

from conftest import wait_for
from serving import Answer

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
NOWHERE = "sha256:" + "0" * 64


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def basic(token, user="anybody"):
    secret = token["token"] if isinstance(token, dict) else token
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def code(answer):
    """(status, the first error's code); the answer is as errors are to be."""
    assert answer.headers["content-type"].startswith("application/json"), str(answer)
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0", str(answer)
    first = answer.json["errors"][0]
    assert first["message"] and "detail" in first
    return answer.status, first["code"]


def manifest_of(config, layers, media_type=OCI_MANIFEST, **more):
    """The manifest of blobs as bytes, as bytes."""
    docker = media_type == DOCKER_MANIFEST
    types = (("application/vnd.docker.container.image.v1+json",
              "application/vnd.docker.image.rootfs.diff.tar.gzip") if docker
             else (OCI_CONFIG, OCI_LAYER))
    describe = lambda data, kind: {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
    return json.dumps({"schemaVersion": 2, "mediaType": media_type,
                       "config": describe(config, types[0]),
                       "layers": [describe(layer, types[1]) for layer in layers]} | more).encode()


def describe(manifest, media_type=OCI_MANIFEST):
    return {"mediaType": media_type, "digest": digest_of(manifest), "size": len(manifest)}


class Registry:
    """One repository of a server, for one who logs in with `headers`."""

    def __init__(self, server, name="default/custom", headers=None):
        self.server, self.name, self.headers = server, name, headers or {}

    def ask(self, method, path, body=None, headers=None, **query):
        headers = {"Content-Type": "application/octet-stream"} | self.headers | (headers or {})
        return self.server.ask(method, f"/v2/{self.name}{path}", body, headers, **query)

    def at(self, method, location, body=None, headers=None, **query):
        """The same of a Location that was answered."""
        parts = urlsplit(location)
        path = parts.path + ("?" + parts.query if parts.query else "")
        headers = {"Content-Type": "application/octet-stream"} | self.headers | (headers or {})
        return self.server.ask(method, path, body, headers, **query)

    def start(self):
        answer = self.ask("POST", "/blobs/uploads/")
        assert answer.status == 202, str(answer)
        return answer.headers["location"]

    def push_blob(self, data):
        answer = self.at("PUT", self.start(), data, digest=digest_of(data))
        assert answer.status == 201, str(answer)
        return digest_of(data)

    def put_manifest(self, reference, manifest, media_type=OCI_MANIFEST):
        return self.ask("PUT", f"/manifests/{reference}", manifest, {"Content-Type": media_type})

    def push_image(self, tag, layers=(b"layer",), config=b"{}", media_type=OCI_MANIFEST, **more):
        """The manifest, once all of it is there."""
        for blob in (config, *layers):
            self.push_blob(blob)
        manifest = manifest_of(config, layers, media_type, **more)
        answer = self.put_manifest(tag or digest_of(manifest), manifest, media_type)
        assert answer.status == 201, str(answer)
        return manifest

    def offset(self, location):
        answer = self.at("GET", location)
        assert answer.status == 204, str(answer)
        last = int(answer.headers["range"].split("-")[1])
        return last + 1 if last else 0

    def begin(self, method, location, sent, total=None, headers=None):
        """A connection on which a request's body has begun: of `total` bytes, else chunked."""
        connection = self.server.connection()
        connection.putrequest(method, location)
        for key, value in ({"Content-Type": "application/octet-stream"} | self.headers
                           | (headers or {})).items():
            connection.putheader(key, value)
        if total is None:
            connection.putheader("Transfer-Encoding", "chunked")
        else:
            connection.putheader("Content-Length", str(total))
        connection.endheaders()
        connection.send(sent if total is not None else b"%x\r\n%s\r\n" % (len(sent), sent))
        return connection

    def cut_after(self, location, sent, total, headers=None):
        """A PATCH of `total` bytes whose client goes away behind `sent`, once the server has it."""
        before = self.offset(location)
        connection = self.begin("PATCH", location, sent, total, headers)
        wait_for(lambda: self.offset(location) == before + len(sent))
        connection.close()


def answer_of(connection):
    try:
        return Answer(connection.getresponse())
    finally:
        connection.close()
