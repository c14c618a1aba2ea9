"""Dynamic models: their files are blobs beside the image, listed in an artifact that other tools read."""
import hashlib
import json
import os
import sqlite3
import subprocess
import tarfile
import time
import urllib.request
from urllib.parse import quote

import pytest

from attempts import SOUND
from conftest import wait_for
from oci_layout import image_blobs  # noqa: F401
from registries import registry_at  # noqa: F401
from radosgw import bucket, rgw  # noqa: F401
from serving import Server
from wholeness import assert_store, event_names

PACK = "application/vnd.cncf.model.manifest.v1+json"
SIZE = int(os.environ.get("LARGE", 70 << 20))


@pytest.fixture
def model(package):
    """A package with a large file, some small ones, code and a config."""
    folder = package({"model/customize_service.py": "print('code')\n", "model/sub/vocab.txt": "a b c",
                      "model/empty.bin": ""}, name="big")
    header = json.dumps({"w": {"dtype": "U8", "shape": [SIZE], "data_offsets": [0, SIZE]}}).encode()
    with open(folder / "model/weights.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + SIZE)
        file.seek(SIZE // 2)
        file.write(b"in the middle")
    return folder


def shown(waybill, name="m"):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def blob(waybill, digest):
    return waybill.data / "images/blobs" / digest.replace(":", "/")


def document(waybill, digest):
    return json.loads(blob(waybill, digest).read_text())


def sha256(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def files_of(folder):
    return {str(path.relative_to(folder / "model")): path for path in (folder / "model").rglob("*")
            if path.is_file()}


def in_image(waybill):
    """{path: content} of what the image's own layers hold."""
    found = {}
    for layer in shown(waybill)["layers"]:
        if layer["origin"] != "model":
            continue
        with tarfile.open(blob(waybill, layer["digest"])) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    return found


def pack_of(waybill):
    with sqlite3.connect(waybill.data / "waybill.db") as store:
        [[digest]] = store.execute("SELECT pack_digest FROM attempts ORDER BY attempt DESC LIMIT 1")
    return digest


def test_the_files_lie_beside_the_image_and_are_listed_with_their_digests(ready, model):
    done = ready.run("import", model, "--name", "m", "--dynamic", "--json", check=True)
    assert event_names(done.events) == SOUND
    assert done.events[0]["evidence"]["load_mode"] == "dynamic"
    held = in_image(ready)
    listing = json.loads(held.pop("home/mind/dynamic.json"))
    assert set(held) == {"home/mind/model/config.json", "home/mind/model/customize_service.py"}
    assert listing["version"] == 1 and listing["repository"] == "default/m"
    files = files_of(model)
    left_out = {path: file for path, file in files.items() if path not in ("config.json",
                                                                         "customize_service.py")}
    assert listing["files"] == [{"path": path, "size": file.stat().st_size, "digest": sha256(file)}
                                for path, file in sorted(left_out.items())]
    for entry in listing["files"]:
        assert sha256(blob(ready, entry["digest"])) == entry["digest"]
    assert_store(ready)


def test_the_artifact_is_a_model_pack_that_refers_to_the_image(ready, model):
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    pack = document(ready, pack_of(ready))
    assert pack["artifactType"] == PACK
    assert pack["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert pack["subject"]["digest"] == shown(ready)["image_digest"]
    files = files_of(model)
    assert {layer["annotations"]["org.cncf.model.filepath"]: layer["digest"]
            for layer in pack["layers"]} == {path: sha256(file) for path, file in files.items()}
    kinds = {layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"].split(".", 3)[3]
             for layer in pack["layers"]}
    assert kinds == {"config.json": "weight.config.v1.raw", "customize_service.py": "code.v1.raw",
                     "sub/vocab.txt": "doc.v1.raw", "empty.bin": "weight.v1.raw",
                     "weights.bin": "weight.v1.raw",
                     "weights.safetensors": "weight.v1.raw"}
    config = document(ready, pack["config"]["digest"])
    assert config["descriptor"]["name"] == "m" and config["config"]["format"] == "safetensors"
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in pack["layers"]]}


def test_the_same_package_gives_the_same_image_and_pack(ready, model, waybill_at, base_layout):
    other = waybill_at("other")
    other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    for waybill in (ready, other):
        waybill.run("import", model, "--name", "m", "--dynamic", check=True)
    assert shown(ready)["image_digest"] == shown(other)["image_digest"]
    assert pack_of(ready) == pack_of(other)


def test_there_is_no_limit_of_size(ready, model):
    small = ["--set", "limits.model_file_gib=0.001", "--set", "limits.model_gib=0.002"]
    refused = ready.run("import", model, "--name", "m", "--json", *small)
    assert refused.returncode == 1 and "ModelFileTooLarge" in refused.reasons
    again = ready.run("retry", "m", "--dynamic", "--json", *small, check=True)
    assert again.events[-1]["reason"] == "ModelImported", again
    assert "home/mind/dynamic.json" in in_image(ready)


def test_a_packed_model_that_is_imported_dynamically_is_another_one(ready, model):
    ready.run("import", model, "--name", "packed", check=True)
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    assert shown(ready)["image_digest"] != shown(ready, "packed")["image_digest"]
    assert shown(ready)["model_size"] == shown(ready, "packed")["model_size"]


def test_the_same_package_packed_is_other_content(ready, model):
    ready.run("import", model, "--name", "m", "--version", "0.0.1", check=True)
    refused = ready.run("import", model, "--name", "m", "--version", "0.0.1", "--dynamic")
    assert refused.returncode == 2 and "load_mode: dynamic, was packed" in refused.stderr, refused
    arguments = ["import", model, "--name", "d", "--version", "0.0.1", "--dynamic", "--json"]
    first, again = ready.run(*arguments, check=True), ready.run(*arguments, check=True)
    assert again.events == first.events[-1:], "equal content is imported already"
    assert shown(ready, "d")["load_mode"] == "dynamic"
    assert "load mode     dynamic" in ready.run("show", "d", check=True).stdout


def test_a_rebuild_keeps_its_files_beside_the_image(ready, model):
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    before, files = pack_of(ready), document(ready, pack_of(ready))["layers"]
    again = ready.run("retry", "m", "--no-cache", "--json", check=True)
    assert [event["attempt"] for event in again.events if event["reason"] == "ModelImported"] == [2]
    pack = document(ready, pack_of(ready))
    assert pack["layers"] == files and pack["subject"]["digest"] == shown(ready)["image_digest"]
    assert pack_of(ready) == before, "the image is the same"


def test_a_backup_holds_its_files(ready, model, tmp_path):
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    pack = document(ready, pack_of(ready))
    ready.run("backup", tmp_path / "saved", check=True)
    other = tmp_path / "restored"
    ready.run("restore", tmp_path / "saved", "--data", other, check=True)
    for layer in pack["layers"]:
        assert sha256(other / "images/blobs" / layer["digest"].replace(":", "/")) == layer["digest"]


def test_what_was_kept_before_it_was_killed_is_not_read_again(ready, package):
    folder = package({f"model/{number}.bin": b"x" * (10 << 20) + b"%d" % number for number in range(8)})
    time.sleep(2.1)  # or their times would not tell that they are the same
    process = ready.start("import", folder, "--name", "m", "--dynamic", stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)

    def kept():
        with sqlite3.connect(ready.data / "waybill.db") as store:
            return store.execute("SELECT count(*) FROM layers WHERE origin = 'blob'").fetchone()[0]
    wait_for(lambda: (ready.data / "waybill.db").exists() and kept() >= 3)
    process.kill()
    process.wait()
    before = kept()
    done = ready.run("retry", "m", "--json", check=True)
    assert done.events[-1]["reason"] == "ModelImported" and before >= 3
    assert_store(ready)


def test_gc_keeps_its_blobs_and_takes_them_when_it_is_deleted(ready, model):
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    listing = json.loads(in_image(ready)["home/mind/dynamic.json"])
    ready.run("gc", check=True)
    assert ready.run("verify", check=True).returncode == 0
    paths = [blob(ready, entry["digest"]) for entry in listing["files"]]
    assert all(path.exists() for path in paths)
    with open(paths[-1], "r+b") as file:
        file.write(b"damage")
    assert ready.run("verify").returncode == 1
    ready.run("delete", "m", check=True)
    ready.run("gc", check=True)
    assert not any(path.exists() for path in paths)


def test_the_registry_of_the_server_serves_pack_and_blobs(ready, model, tmp_path):
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    digest = shown(ready)["image_digest"]
    server = Server(ready, tmp_path)
    try:
        answer = server.ask("GET", f"/v2/default/m/referrers/{digest}?artifactType={quote(PACK, safe='')}")
        [found] = answer.json["manifests"]
        assert found["digest"] == pack_of(ready) and found["artifactType"] == PACK
        pack = server.ask("GET", f"/v2/default/m/manifests/{found['digest']}").json
        for layer in pack["layers"]:
            got = server.ask("GET", f"/v2/default/m/blobs/{layer['digest']}").body
            assert "sha256:" + hashlib.sha256(got).hexdigest() == layer["digest"]
        created = server.create(model, name="over-http", load_mode="dynamic")
        assert created.status == 200
        details = server.settled(created.json["model_id"])
        assert details["model_status"] == "published" and details["load_mode"] == "dynamic"
        assert server.create(model, name="x", load_mode="lazy").status == 400
    finally:
        assert server.stop() == 0


def ask(registry, path, accept="*/*"):
    request = urllib.request.Request(f"http://{registry.host}/v2/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def test_a_copy_takes_the_files_along(ready, model, registry_at, tmp_path):
    """To a registry, from there to another place, and to a layout."""
    registry = registry_at()
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    pack = document(ready, pack_of(ready))
    target = f"registry+http://{registry.host}/kept/m:1"
    ready.run("copy", "m", target, check=True)
    for layer in [pack["config"], *pack["layers"]]:
        got = ask(registry, f"kept/m/blobs/{layer['digest']}")
        assert "sha256:" + hashlib.sha256(got).hexdigest() == layer["digest"]
    manifest = ask(registry, f"kept/m/manifests/{pack_of(ready)}", "application/vnd.oci.image.manifest.v1+json")
    assert json.loads(manifest)["artifactType"] == PACK
    fallback = shown(ready)["image_digest"].replace(":", "-")
    index = json.loads(ask(registry, f"kept/m/manifests/{fallback}", "application/vnd.oci.image.index.v1+json"))
    assert pack_of(ready) in [entry["digest"] for entry in index["manifests"]]
    ready.run("copy", "m", f"oci:{tmp_path}/layout:x", check=True)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
             for entry in index["manifests"]}
    assert names["x.model"] == pack_of(ready)
    assert all((tmp_path / "layout/blobs" / layer["digest"].replace(":", "/")).exists()
               for layer in pack["layers"])
    refused = ready.run("copy", "m", tmp_path / "m.tar")
    assert refused.returncode == 1 and "do not go into an archive" in refused.stderr, refused


def test_a_registry_keeps_its_files_as_it_keeps_images(ready, model, registry_at, base_layout):
    registry = registry_at()
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    expected = shown(ready)["image_digest"], pack_of(ready)
    other = ready
    other.data = ready.data.parent / "other"
    other.environment |= {"WAYBILL_DATA": str(other.data),
                          "WAYBILL_IMAGES_URL": f"registry+http://{registry.host}/ns"}
    other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    other.run("import", model, "--name", "m", "--dynamic", check=True)
    assert (shown(other)["image_digest"], pack_of(other)) == expected
    pack = json.loads(ask(registry, f"ns/default/m/manifests/{pack_of(other)}",
                          "application/vnd.oci.image.manifest.v1+json"))
    for layer in pack["layers"]:
        got = ask(registry, f"ns/default/m/blobs/{layer['digest']}")
        assert "sha256:" + hashlib.sha256(got).hexdigest() == layer["digest"]
    local = sum(path.stat().st_size for path in (other.data / "images/blobs").rglob("*") if path.is_file())
    assert local < 1 << 20, "the files went to the registry alone"
    other.run("delete", "m", check=True)
    other.run("gc", check=True)


def test_of_a_bucket_it_is_that_of_the_folder(ready, model, rgw, bucket):
    from test_bucket import use
    ready.run("import", model, "--name", "m", "--dynamic", check=True)
    expected = shown(ready)["image_digest"], pack_of(ready)
    use(ready, rgw)
    rgw.put_folder(bucket, "p", model)
    ready.run("delete", "m", check=True)
    ready.run("import", f"s3://{bucket}/p", "--name", "m", "--dynamic", check=True)
    assert (shown(ready)["image_digest"], pack_of(ready)) == expected
