"""images.url=registry://…: a registry keeps the images, and nothing of them lies in the data directory."""
import json
import os
import shutil
import time
import urllib.error

import pytest

from attempts import SOUND
from conftest import Waybill, wait_for
from environments import SERVE, bring, dependencies, python_layout, wheel  # noqa: F401
from image_store import (LARGE, ended, get, keep_in, kept, local_blobs, manifest_at, shown,
                         small_and_large)  # noqa: F401
from registries import IDENTITY, SECRET, USER, auth_file, registry_at, run  # noqa: F401
from serving import Server
from wholeness import event_names


def test_an_import_goes_straight_to_the_registry(kept, package, waybill_at, base_layout):
    folder = small_and_large(package)
    done = kept.run("import", folder, "--name", "digits", "--json", check=True)
    assert event_names(done.events) == SOUND
    details = shown(kept, "digits")
    digest, manifest = manifest_at(kept, ("default/digits", "0.0.1"))
    address = f"{kept.registry.host}/{kept.namespace}/default/digits:0.0.1"
    assert details["image_address"] == address and details["image_digest"] == digest
    [built] = [event for event in done.events if event["reason"] == "ImageBuilt"]
    assert built["evidence"]["image"] == address
    # The layers came before, straight from the package.
    assert built["evidence"]["bytes_present"] > LARGE > built["evidence"]["bytes_pushed"] > 0
    for layer in manifest["layers"]:
        headers, _ = get(kept.registry, f"{kept.namespace}/default/digits/blobs/{layer['digest']}")
        assert int(headers["Content-Length"]) == layer["size"]
    assert local_blobs(kept) < 1 << 20, "a layer was copied here"
    # The same image as that of a layout, to the byte.
    other = waybill_at("layout")
    other.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    other.run("import", folder, "--name", "digits", check=True)
    assert shown(other, "digits")["image_digest"] == digest


def test_skopeo_takes_it_from_there(kept, package, tmp_path):
    kept.run("import", package(), "--name", "digits", check=True)
    run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false",
        f"docker://{shown(kept, 'digits')['image_address']}", f"oci:{tmp_path / 'out'}:latest")
    [entry] = json.loads((tmp_path / "out/index.json").read_text())["manifests"]
    assert entry["digest"] == shown(kept, "digits")["image_digest"]


def test_what_is_there_is_neither_sent_nor_read_again(kept, package):
    folder = small_and_large(package)
    time.sleep(2.1)  # a file that changed just now is not trusted
    kept.run("import", folder, "--name", "digits", check=True)
    before = (kept.registry.where / "registry.log").read_text().count("PATCH")
    again = kept.run("import", folder, "--name", "digits", "--version", "0.0.2", "--json", check=True)
    other = kept.run("import", folder, "--name", "other", "--json", check=True)
    for done in (again, other):
        [copied] = [event for event in done.events if event["reason"] == "ModelFilesImported"]
        assert copied["evidence"]["reused_bytes"] == copied["evidence"]["bytes"]
    assert (kept.registry.where / "registry.log").read_text().count("PATCH") == before
    assert manifest_at(kept, ("default/other", "0.0.1"))[1]["layers"] == \
        manifest_at(kept, ("default/digits", "0.0.1"))[1]["layers"]


def test_a_config_of_the_request_lies_in_the_image(kept, package, tmp_path):
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"model_algorithm": "other", "model_type": "Custom"}))
    folder = package({"model/config.json": None}, name="digits")
    kept.run("import", folder, "--name", "digits", "--config", given, check=True)
    _, manifest = manifest_at(kept, ("default/digits", "0.0.1"))
    _, layer = get(kept.registry, f"{kept.namespace}/default/digits/blobs/"
                   + manifest["layers"][-1]["digest"])
    assert b"waybill.json" in layer and b'"other"' in layer


def test_a_name_that_no_registry_takes(kept, package):
    kept.run("import", package(), "--name", "数字", check=True)
    details = shown(kept, "数字")
    place = details["image_address"].removeprefix(f"{kept.registry.host}/{kept.namespace}/")
    assert place.startswith("default/x--")
    assert manifest_at(kept, place.split(":"))[0] == details["image_digest"]


# -- logins, TLS --

@pytest.mark.parametrize("mode, login", [
    ("basic", "password"), ("token", "password"), ("token", "identity"), ("tls", None)])
def test_registries_with_logins_and_certificates(waybill, base_layout, registry_at, package, tmp_path,
                                                 mode, login):
    registry = registry_at(mode)
    keep_in(waybill, registry, f"n{os.urandom(4).hex()}")
    auth = tmp_path / "auth.json"
    auth_file(auth, **({registry.host: (USER, SECRET)} if login == "password" else {}))
    if login == "identity":
        auth.write_text(json.dumps({"auths": {registry.host: {"identitytoken": IDENTITY}}}))
    waybill.environment["REGISTRY_AUTH_FILE"] = str(auth)
    if mode == "tls":
        waybill.environment["WAYBILL_REGISTRY_CA_FILE"] = str(registry.ca)
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    before = local_blobs(waybill)
    waybill.run("import", package(), "--name", "digits", check=True)
    # The base was mounted, which takes a right to read elsewhere: it did not come here to be sent.
    assert local_blobs(waybill) - before < 1 << 16
    whole = waybill.run("verify", check=True)
    assert whole.stdout.startswith("whole: "), str(whole)
    checks = {check["id"]: check for check in waybill.run("doctor", "--json").events}
    assert checks["images-registry"]["status"] == "ok", checks["images-registry"]
    assert checks["runtimes"]["status"] == checks["images"]["status"] == "ok"


# -- environments --

@pytest.fixture
def builder(waybill, python_layout, registry_at):
    """Waybill whose images a registry keeps, with a base that environments are built on."""
    waybill.registry, waybill.namespace = registry_at(), f"n{os.urandom(4).hex()}"
    keep_in(waybill, waybill.registry, waybill.namespace)
    waybill.environment |= {"WAYBILL_BUILD_RUNTIME": "", "WAYBILL_BUILD_NETWORK": "none"}
    waybill.run("runtime", "add", "py", "--image", f"oci:{python_layout}:latest", check=True)
    return waybill


def test_environments_are_kept_there_and_nothing_of_them_is_needed_here(builder, package):
    tiny = wheel("tiny")
    done = builder.run("import", bring(package, [tiny[0]], [tiny], "one"), "--name", "one", "--json",
                       check=True)
    [built] = [event for event in done.events if event["reason"] == "EnvImageBuildStarted"]
    key = built["evidence"]["key"].removeprefix("sha256:")
    _, environment = manifest_at(builder, ("environments", key))
    _, model = manifest_at(builder, ("default/one", "0.0.1"))
    assert environment["layers"] == model["layers"][:len(environment["layers"])]
    shutil.rmtree(builder.data / "images/blobs")
    (builder.data / "images/blobs/sha256").mkdir(parents=True)
    hit = builder.run("import", bring(package, [tiny[0]], [tiny], "two"), "--name", "two", "--json",
                      check=True)
    assert "EnvImageCacheHit" in event_names(hit.events)
    assert local_blobs(builder) < 1 << 16
    kept = builder.run("gc", "--json", check=True)
    assert json.loads(kept.stdout)["kept_blobs"] == 0


def test_an_update_of_the_dependencies_builds_on_the_layers_that_are_there(builder, package, tmp_path):
    tiny, other = wheel("tiny"), wheel("other")
    folder = bring(package, [tiny[0]], [tiny, other], "one")
    (folder / "model/serve.py").write_text(
        "HEALTH = 200\ntry:\n    import other\nexcept ImportError:\n    HEALTH = 500\n" + SERVE)
    builder.run("import", folder, "--name", "one", check=True)
    before = shown(builder, "one")
    (tmp_path / "new.json").write_text(json.dumps(dependencies(other[0])))
    shutil.rmtree(folder)
    done = builder.run("update", "one", "--dependencies", tmp_path / "new.json", "--json", check=True)
    assert done.events[-1]["reason"] == "ModelImported"
    after = shown(builder, "one")
    assert after["image_digest"] != before["image_digest"]
    assert [layer for layer in after["layers"] if layer["origin"] == "model"] == \
        [layer for layer in before["layers"] if layer["origin"] == "model"]
    # It comes from the registry, is run, and has what it depends on.
    tried = builder.run("try", "one", "--input", '{"numbers": [1, 2]}', check=True)
    assert json.loads(tried.stdout) == {"path": "/", "sum": 3}


def test_an_image_is_proven_before_it_counts(builder, package):
    folder = package({"model/serve.py": "HEALTH = 200\n" + SERVE}, name="serves")
    builder.run("import", folder, "--name", "good", "--verify", check=True)
    assert "verified: it serves" in builder.run("log", "good", check=True).stdout
    folder = package({"model/serve.py": "HEALTH = 500\n" + SERVE}, name="does-not")
    cause = ended(builder, folder, "--name", "bad", "--verify", "--set", "build.ready_seconds=5",
                  built=True)
    assert (cause["reason"], cause["kind"]) == ("ImageVerifyFailed", "unhealthy")


# -- custom images --

def test_a_custom_image_is_mounted_from_the_same_registry(kept, base_layout):
    kept.registry.push(base_layout, "team/app:1")
    done = kept.run("import", kept.registry.reference("team/app:1"), "--type", "Image", "--name",
                    "app", "--json", check=True)
    [shared] = [event for event in done.events if event["reason"] == "SourceImageShared"]
    evidence = shared["evidence"]
    assert evidence["target"] == f"{kept.registry.host}/{kept.namespace}/default/app:0.0.1"
    digest, manifest = manifest_at(kept, ("default/app", "0.0.1"))
    assert digest == evidence["digest"]
    layers = sum(layer["size"] for layer in manifest["layers"])
    assert evidence["bytes_mounted"] >= layers > 0
    assert local_blobs(kept) < 1 << 16


def test_a_custom_image_of_a_layout_is_pushed(kept, base_layout):
    done = kept.run("import", f"oci:{base_layout}:latest", "--type", "Image", "--name", "app", "--json",
                    check=True)
    digest, _ = manifest_at(kept, ("default/app", "0.0.1"))
    assert shown(kept, "app")["image_digest"] == digest
    assert done.events[-1]["reason"] == "ModelImported"


# -- what is done with them --

def test_copy_reads_it_from_there_and_mounts_within_the_registry(kept, package, tmp_path):
    kept.run("import", small_and_large(package), "--name", "digits", check=True)
    target = f"{kept.registry.reference('copies/digits:1')}"
    copied = json.loads(kept.run("copy", "digits", target, "--json", check=True).stdout)
    assert copied["bytes_mounted"] > LARGE and copied["described"], copied
    layout = json.loads(kept.run("copy", "digits", f"oci:{tmp_path / 'out'}:1", "--json",
                                 check=True).stdout)
    assert layout["digest"] == copied["digest"] == shown(kept, "digits")["image_digest"]


def test_the_image_tells_its_timeline_there(kept, package):
    kept.run("import", package(), "--name", "digits", check=True)
    reference = f"registry+http://{shown(kept, 'digits')['image_address']}"
    carried = kept.run("show", reference, check=True)
    assert "building task is succeeded" in carried.stdout


def test_sharing_mounts_within_the_registry(kept, package):
    kept.environment["WAYBILL_IMAGE_SHARE_TO"] = f"registry+http://{kept.registry.host}/tenants"
    done = kept.run("import", small_and_large(package), "--name", "digits", "--json", check=True)
    [shared] = done.events[-1]["evidence"]["shared"]
    assert shared["bytes_mounted"] > LARGE > shared["bytes_copied"]


def test_verify_finds_what_the_registry_lost(kept, package):
    kept.run("import", small_and_large(package), "--name", "digits", check=True)
    assert "whole" in kept.run("verify", check=True).stdout
    _, manifest = manifest_at(kept, ("default/digits", "0.0.1"))
    lost = max(manifest["layers"], key=lambda layer: layer["size"])["digest"]
    link = next((kept.registry.where / "data").rglob(
        f"{kept.namespace}/default/digits/_layers/sha256/{lost.removeprefix('sha256:')}"))
    shutil.rmtree(link)
    found = kept.run("verify", "--json")
    assert found.returncode == 1
    [finding] = json.loads(found.stdout)["findings"]
    evidence = finding["evidence"]
    assert evidence["found"] == "missing"
    assert evidence["path"] == f"{kept.registry.host}/{kept.namespace}/default/digits@{lost}"
    refused = kept.run("verify", "--drop-damaged")
    assert refused.returncode == 2 and kept.registry.host in refused.stderr


def test_gc_and_backup_leave_the_registry_alone(kept, package, tmp_path):
    kept.run("import", package(), "--name", "digits", check=True)
    kept.run("gc", check=True)
    kept.run("backup", tmp_path / "backup", check=True)
    other = Waybill(tmp_path / "restored")
    other.environment["WAYBILL_IMAGES_URL"] = kept.environment["WAYBILL_IMAGES_URL"]
    other.run("restore", tmp_path / "backup", check=True)
    assert "whole" in other.run("verify", check=True).stdout
    assert kept.run("import", package(name="more"), "--name", "more").returncode == 0


def test_a_server_says_where_its_images_are(kept, package, tmp_path):
    server = Server(kept, tmp_path)
    try:
        made = server.create(package(), name="digits").json
        for path in ("/v2/", "/v2/_catalog", "/v2/default/digits/tags/list"):
            answer = server.ask("GET", path)
            assert answer.status == 404, str(answer)
            [error] = answer.json["errors"]
            assert error["code"] == "UNSUPPORTED" and kept.registry.host in error["message"]
        details = wait_for(lambda: server.get(f"/models/{made['model_id']}").json.get("image_address"), 60)
        assert details == f"{kept.registry.host}/{kept.namespace}/default/digits:0.0.1"
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("url", ["registry://", "registry://host", "https://host.example/ns", "oci:/srv/images",
                                 "registry://host.example/Upper", "registry://host.example/a//b"])
def test_an_images_url_that_is_none_is_said_at_once(waybill, url):
    done = waybill.run("models", "--set", f"images.url={url}")
    assert done.returncode == 2 and "images.url" in done.stderr and "registry://" in done.stderr, str(done)


def test_images_do_not_move_by_themselves(kept, package, waybill_at, base_layout):
    here = waybill_at("layout")
    here.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    elsewhere = kept.environment["WAYBILL_IMAGES_URL"]
    for waybill, url in ((here, elsewhere), (kept, ""), (kept, elsewhere + "/other")):
        done = waybill.run("gc", env={"WAYBILL_IMAGES_URL": url})
        assert done.returncode == 3 and "do not move by themselves" in done.stderr, str(done)
    # Where there is none they may come to lie elsewhere.
    here.run("runtime", "remove", "base", check=True)
    here.environment["WAYBILL_IMAGES_URL"] = elsewhere
    here.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    here.run("import", package(), "--name", "digits", check=True)
    assert shown(here, "digits")["image_address"].startswith(kept.registry.host)


# -- gc --

def is_there(waybill, reference):
    try:
        manifest_at(waybill, reference)
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False
    return True


def test_gc_deletes_images_of_deleted_models_and_no_others(kept, package):
    for version in ("0.0.1", "0.0.2"):
        kept.run("import", package(), "--name", "digits", "--version", version, check=True)
    kept.run("delete", "digits:0.0.1", check=True)
    assert json.loads(kept.run("gc", "--dry-run", "--json", check=True).stdout)["images"] == 1
    assert is_there(kept, ("default/digits", "0.0.1"))
    done = kept.run("gc", check=True)
    assert "images of deleted models in the registry: 1" in done.stdout
    assert not is_there(kept, ("default/digits", "0.0.1"))
    assert is_there(kept, ("default/digits", "0.0.2"))
    assert json.loads(kept.run("gc", "--json", check=True).stdout)["images"] == 0
    assert "whole" in kept.run("verify", check=True).stdout
    # The same version again is the same image again.
    kept.run("import", package(), "--name", "digits", "--version", "0.0.1", check=True)
    assert json.loads(kept.run("gc", "--json", check=True).stdout)["images"] == 0
    assert is_there(kept, ("default/digits", "0.0.1"))
