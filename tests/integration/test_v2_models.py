"""Images of models at /v2/: pulled as they are built, and never changed by a push."""
import json
import threading

import pytest

from v2_client import Registry, code, digest_of
from serving import Server
from wholeness import blobs_of, index_of


@pytest.fixture
def model(server, package):
    details = server.settled(server.create(package(), "digits").json["model_id"])
    assert details["model_status"] == "published", details
    return details


@pytest.fixture
def digits(server, model):
    return Registry(server, "default/digits")


def test_a_model_is_an_image_as_soon_as_it_is_listed(digits, model, ready):
    got = digits.ask("GET", "/manifests/0.0.1")
    assert got.headers["docker-content-digest"] == model["image_digest"]
    assert got.headers["content-type"] == "application/vnd.oci.image.manifest.v1+json"
    assert digest_of(got.body) == model["image_digest"] == index_of(ready.data)["default/digits:0.0.1"]
    assert digits.ask("GET", "/manifests/" + model["image_digest"]).body == got.body
    manifest = json.loads(got.body)
    for blob in [manifest["config"], *manifest["layers"]]:
        answer = digits.ask("GET", "/blobs/" + blob["digest"])
        assert (answer.status, digest_of(answer.body)) == (200, blob["digest"])
    assert digits.ask("GET", "/tags/list").json["tags"] == ["0.0.1"]
    assert digits.server.ask("GET", "/v2/_catalog").json["repositories"] == ["default/digits"]


def test_names_that_registries_do_not_have_are_encoded(server, package, ready):
    server.settled(server.create(package(), "数字识别").json["model_id"])
    server.settled(server.create(package(), "Digits").json["model_id"])
    names = [name for name in index_of(ready.data) if name.startswith("default/x--")]
    assert len(names) == 2
    for name in names:
        repository, tag = name.split(":")
        assert Registry(server, repository).ask("GET", f"/manifests/{tag}").status == 200
        assert Registry(server, repository).ask("GET", "/tags/list").json["tags"] == ["0.0.1"]
    nobody = Registry(server, "default/x--aaaaaaaaaaaaaaaa")
    assert code(nobody.ask("GET", "/tags/list")) == (404, "NAME_UNKNOWN")


def test_a_project_with_a_name_of_its_own(server, package):
    created = server.ask("POST", "/v1/视觉".replace("视觉", "%E8%A7%86%E8%A7%89") + "/models", {
        "model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
        "source_location": f"file://{package()}"})
    assert created.status == 200, str(created)
    path = f"/v1/%E8%A7%86%E8%A7%89/models/{created.json['model_id']}"
    assert server.ask("GET", path, wait=30).json["model_status"] == "published"
    [name] = server.ask("GET", "/v2/_catalog").json["repositories"]
    assert name.startswith("x--") and name.endswith("/m")
    assert Registry(server, name).ask("GET", "/manifests/0.0.1").status == 200
    Registry(server, name.split("/")[0] + "/custom").push_image("1")


def test_a_models_tag_is_not_for_pushing(digits, model):
    pulled = digits.ask("GET", "/manifests/0.0.1").body
    manifest = digits.push_image("other", (b"something else",))
    answer = digits.put_manifest("0.0.1", manifest)
    assert code(answer) == (403, "DENIED")
    assert "waybill import" in answer.json["errors"][0]["message"]
    for path in ("/manifests/0.0.1", "/manifests/" + model["image_digest"]):
        answer = digits.ask("DELETE", path)
        assert code(answer) == (403, "DENIED")
        assert "waybill delete digits:0.0.1 " in answer.json["errors"][0]["message"]
    answer = digits.ask("DELETE", "/blobs/" + json.loads(pulled)["layers"][0]["digest"])
    assert code(answer) == (403, "DENIED") and "digits" in answer.json["errors"][0]["message"]
    assert digits.ask("GET", "/manifests/0.0.1").body == pulled
    assert digits.ask("GET", "/tags/list").json["tags"] == ["0.0.1", "other"]


def test_where_a_model_comes_to_have_a_pushed_tag_the_model_is_meant(server, package, ready):
    registry = Registry(server, "default/m")
    pushed = registry.push_image("0.0.1", (b"pushed before",))
    details = server.settled(server.create(package(), "m").json["model_id"])
    got = registry.ask("GET", "/manifests/0.0.1")
    assert got.headers["docker-content-digest"] == details["image_digest"]
    assert registry.ask("GET", "/tags/list").json["tags"] == ["0.0.1"]
    assert index_of(ready.data)["default/m:0.0.1"] == details["image_digest"]
    assert registry.ask("GET", "/manifests/" + digest_of(pushed)).body == pushed
    ready.run("delete", "m:0.0.1", check=True)
    assert registry.ask("GET", "/manifests/0.0.1").body == pushed, "it was never lost"


def test_a_deleted_model_is_no_image(digits, ready):
    layer = json.loads(digits.ask("GET", "/manifests/0.0.1").body)["layers"][-1]["digest"]
    ready.run("delete", "digits", check=True)
    assert code(digits.ask("GET", "/manifests/0.0.1")) == (404, "MANIFEST_UNKNOWN")
    assert code(digits.ask("GET", f"/blobs/{layer}")) == (404, "BLOB_UNKNOWN")
    assert code(digits.ask("GET", "/tags/list")) == (404, "NAME_UNKNOWN")


def test_a_models_layers_are_mounted_and_outlive_it(digits, ready):
    manifest = digits.ask("GET", "/manifests/0.0.1").body
    copy = Registry(digits.server, "default/copy")
    document = json.loads(manifest)
    for blob in [document["config"], *document["layers"]]:
        answer = copy.ask("POST", "/blobs/uploads/", mount=blob["digest"],
                          **{"from": "default/digits"})
        assert answer.status == 201, str(answer)
    assert copy.put_manifest("1", manifest).status == 201
    ready.run("delete", "digits", check=True)
    ready.run("gc", check=True)
    for blob in [document["config"], *document["layers"]]:
        assert copy.ask("GET", "/blobs/" + blob["digest"]).status == 200
    assert ready.run("verify").returncode == 0


def test_a_blob_that_the_store_has_lost_is_not_there(digits, ready):
    layer = json.loads(digits.ask("GET", "/manifests/0.0.1").body)["layers"][-1]["digest"]
    (blobs_of(ready.data) / layer[7:]).unlink()
    assert digits.ask("HEAD", f"/blobs/{layer}").status == 404
    assert code(digits.ask("GET", f"/blobs/{layer}")) == (404, "BLOB_UNKNOWN")


# -- importing what was pushed --

def custom_image(registry, base_layout, tag):
    """Pushes the image of the base layout, which can serve."""
    index = json.loads((base_layout / "index.json").read_text())
    read = lambda digest: (base_layout / "blobs" / "sha256" / digest[7:]).read_bytes()
    manifest = read(index["manifests"][0]["digest"])
    document = json.loads(manifest)
    for blob in [document["config"], *document["layers"]]:
        registry.push_blob(read(blob["digest"]))
    assert registry.put_manifest(tag, manifest).status == 201
    return digest_of(manifest)


def test_a_pushed_image_is_imported_from_the_command_line(server, ready, base_layout):
    digest = custom_image(Registry(server), base_layout, "1")
    done = ready.run("import", f"registry+http://{server.netloc}/default/custom:1", "--type", "Image",
                     "--name", "mine", "--json")
    assert done.returncode == 0, str(done)
    mine = Registry(server, "default/mine").ask("GET", "/manifests/0.0.1")
    assert mine.headers["docker-content-digest"] == digest


def test_a_server_imports_from_itself(server, base_layout):
    custom_image(Registry(server), base_layout, "1")
    source = f"registry+http://{server.netloc}/default/custom:1"
    made = [server.ask("POST", "/v1/default/models", {
        "model_name": f"mine{number}", "model_version": "0.0.1", "model_type": "Image",
        "source_location": source}) for number in range(6)]
    for answer in made:
        assert answer.status == 200, str(answer)
        assert server.settled(answer.json["model_id"])["model_status"] == "published"
    checks = []
    threads = [threading.Thread(target=lambda: checks.append(server.ask(
        "POST", "/v1/default/models/check", {"model_type": "Image", "source_location": source})))
        for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in checks] == [200] * 6, [str(answer) for answer in checks]


def test_images_of_a_server_of_another_data_directory(server, model, waybill_at, tmp_path):
    other = Server(waybill_at("other"), tmp_path)
    try:
        done = other.waybill.run("import", f"registry+http://{server.netloc}/default/digits:0.0.1",
                                 "--type", "Image", "--name", "digits", "--json")
        assert done.returncode == 0, str(done)
        again = Registry(other, "default/digits").ask("GET", "/manifests/0.0.1")
        assert again.headers["docker-content-digest"] == model["image_digest"]
    finally:
        assert other.stop() == 0


def test_an_image_of_a_model_carries_its_timeline_from_here_too(digits, model, waybill_at):
    path = f"/referrers/{model['image_digest']}"
    [entry] = digits.ask("GET", path).json["manifests"]
    assert entry["artifactType"] == "application/vnd.waybill.import.v1+json"
    assert digits.ask("GET", path + "?artifactType=application/other").json["manifests"] == []
    manifest = digits.ask("GET", f"/manifests/{entry['digest']}")
    assert manifest.headers["content-type"] == entry["mediaType"]
    assert manifest.json["subject"]["digest"] == model["image_digest"]
    for blob in [manifest.json["config"], *manifest.json["layers"]]:
        got = digits.ask("GET", "/blobs/" + blob["digest"])
        assert (got.status, digest_of(got.body)) == (200, blob["digest"])
    shown = waybill_at("elsewhere").run(
        "show", f"registry+http://{digits.server.netloc}/default/digits:0.0.1", "--json", check=True)
    assert json.loads(shown.stdout)["timeline"]["model"] == "digits"
