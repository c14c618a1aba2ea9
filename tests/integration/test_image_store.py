"""images.url=registry://…: a registry keeps the images, and nothing of them lies in the data directory."""
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from attempts import SOUND
from conftest import Waybill, wait_for
from corpus_runner import assert_answered
from environments import bring, dependencies, python_layout, wheel  # noqa: F401
from registries import auth_file, registry_at, run  # noqa: F401
from serving import Server
from upload_registry import UploadRegistry
from wholeness import assert_timeline, event_names

NAMESPACE = "team/models"
LARGE = 64 << 20  # from here on a file has a layer of its own


def keep_in(waybill, registry, namespace=NAMESPACE):
    waybill.environment["WAYBILL_IMAGES_URL"] = (
        f"{registry.scheme or 'registry://'}{registry.host}/{namespace}")
    return waybill


@pytest.fixture
def kept(waybill, base_layout, registry_at, tmp_path):
    """Waybill whose images a registry keeps, and a runtime."""
    registry = registry_at()
    keep_in(waybill, registry, f"n{os.urandom(4).hex()}/models")
    waybill.registry = registry
    waybill.namespace = waybill.environment["WAYBILL_IMAGES_URL"].split("/", 3)[3]
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill


def get(registry, path, accept="application/vnd.oci.image.manifest.v1+json"):
    request = urllib.request.Request(f"http://{registry.host}/v2/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def manifest_at(waybill, place):
    headers, body = get(waybill.registry, f"{waybill.namespace}/{place[0]}/manifests/{place[1]}")
    return headers["Docker-Content-Digest"], json.loads(body)


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def local_blobs(waybill):
    """Bytes of what lies in the layout."""
    return sum(path.stat().st_size for path in (waybill.data / "images/blobs/sha256").iterdir())


def small_and_large(package, name="digits"):
    folder = package(name=name)
    with open(folder / "model/large.bin", "wb") as file:
        file.write(os.urandom(1 << 20) * (LARGE >> 20))
    return folder


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

@pytest.mark.parametrize("mode", ["basic", "token", "tls"])
def test_registries_with_logins_and_certificates(waybill, base_layout, registry_at, package, tmp_path,
                                                 mode):
    registry = registry_at(mode)
    keep_in(waybill, registry)
    logins = {} if mode == "tls" else {registry.host: ("alice", "s3cret")}
    waybill.environment["REGISTRY_AUTH_FILE"] = str(auth_file(tmp_path / "auth.json", **logins))
    if mode == "tls":
        waybill.environment["WAYBILL_REGISTRY_CA_FILE"] = str(registry.ca)
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    waybill.run("import", package(), "--name", "digits", check=True)
    whole = waybill.run("verify", check=True)
    assert whole.stdout.startswith("whole: "), str(whole)
    checks = {check["id"]: check for check in waybill.run("doctor", "--json").events}
    assert checks["images-registry"]["status"] == "ok", checks["images-registry"]
    assert checks["runtimes"]["status"] == checks["images"]["status"] == "ok"


# -- environments --

def test_environments_are_kept_there_and_used_on_another_machine(python_layout, registry_at, package,
                                                                 tmp_path):
    registry = registry_at()
    here, there = Waybill(tmp_path / "here"), Waybill(tmp_path / "there")
    namespace = f"n{os.urandom(4).hex()}"
    for waybill in (here, there):
        keep_in(waybill, registry, namespace)
        waybill.environment |= {"WAYBILL_BUILD_RUNTIME": "", "WAYBILL_BUILD_NETWORK": "none"}
        waybill.run("runtime", "add", "py", "--image", f"oci:{python_layout}:latest", check=True)
    tiny = wheel("tiny")
    done = here.run("import", bring(package, [tiny[0]], [tiny], "one"), "--name", "one", "--json",
                    check=True)
    assert "EnvImageBuildStarted" in event_names(done.events)
    [built] = [event for event in done.events if event["reason"] == "EnvImageBuildStarted"]
    key = built["evidence"]["key"].removeprefix("sha256:")
    here.registry, here.namespace = registry, namespace
    _, environment = manifest_at(here, ("environments", key))
    _, model = manifest_at(here, ("default/one", "0.0.1"))
    assert environment["layers"] == model["layers"][:len(environment["layers"])]
    hit = here.run("import", bring(package, [tiny[0]], [tiny], "two"), "--name", "two", "--json",
                   check=True)
    assert "EnvImageCacheHit" in event_names(hit.events)
    # Nothing of it is needed here.
    shutil.rmtree(here.data / "images/blobs")
    (here.data / "images/blobs/sha256").mkdir(parents=True)
    gone = here.run("import", bring(package, [tiny[0]], [tiny], "three"), "--name", "three", "--json",
                    check=True)
    assert "EnvImageCacheHit" in event_names(gone.events)
    kept = here.run("gc", "--json", check=True)
    assert json.loads(kept.stdout)["kept_blobs"] == 0


def test_an_update_of_the_dependencies_builds_on_the_layers_that_are_there(python_layout, registry_at,
                                                                           waybill, package, tmp_path):
    keep_in(waybill, registry_at(), f"n{os.urandom(4).hex()}")
    waybill.environment |= {"WAYBILL_BUILD_RUNTIME": "", "WAYBILL_BUILD_NETWORK": "none"}
    waybill.run("runtime", "add", "py", "--image", f"oci:{python_layout}:latest", check=True)
    tiny, other = wheel("tiny"), wheel("other")
    folder = bring(package, [tiny[0]], [tiny, other], "one")
    waybill.run("import", folder, "--name", "one", check=True)
    before = shown(waybill, "one")
    (tmp_path / "new.json").write_text(json.dumps(dependencies(other[0])))
    shutil.rmtree(folder)
    done = waybill.run("update", "one", "--dependencies", tmp_path / "new.json", "--json", check=True)
    assert done.events[-1]["reason"] == "ModelImported"
    after = shown(waybill, "one")
    assert after["image_digest"] != before["image_digest"]
    assert [layer for layer in after["layers"] if layer["origin"] == "model"] == \
        [layer for layer in before["layers"] if layer["origin"] == "model"]
    tried = waybill.run("try", "one")
    assert "ready after" in tried.stderr or "does not serve" in tried.stderr, str(tried)


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


# -- a registry that fails --

@pytest.fixture
def refusing(waybill, base_layout):
    """refusing({…}): a runtime is there; then its registry refuses that."""
    with UploadRegistry() as registry:
        waybill.environment |= {"WAYBILL_IMAGES_URL": f"{registry.reference}/team/models",
                                "WAYBILL_REGISTRY_RETRIES": "1", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "1"}
        waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
        waybill.registry = registry

        def refuse(what):
            registry.refuse = what
            return waybill
        yield refuse


def ended(waybill, *arguments):
    """The event that ended an import; nobody took the model for imported."""
    done = waybill.run("import", *arguments, "--json")
    assert done.returncode == 1, str(done)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    assert "ImageBuilt" not in event_names(done.events)
    return cause


DENIED = (403, "DENIED")


REFUSALS = [
    (DENIED, "push_denied"), ((404, "NAME_UNKNOWN"), "push_denied"),
    ((403, "DENIED", "adding 1 GiB of storage resource exceeds the quota"), "push_quota"),
    ((413, "SIZE_INVALID"), "push_quota"), ((503, "UNAVAILABLE"), "push_broken"),
    ((400, "MANIFEST_INVALID"), "push_broken")]


@pytest.mark.parametrize("part, said, kind", [
    *((part, *refusal) for part in (("POST", "upload"), ("PUT", "manifest")) for refusal in REFUSALS),
    (("HEAD", "blob"), DENIED, "push_denied"), (("HEAD", "blob"), (503, "UNAVAILABLE"), "push_broken")])
def test_a_push_that_is_refused_is_event_2(refusing, package, part, said, kind):
    waybill = refusing({(*part, "digits"): said})
    cause = ended(waybill, package(), "--name", "digits")
    assert_answered(waybill, cause)
    assert (cause["reason"], cause["kind"]) == ("ImageBuildFailed", kind), cause
    evidence = cause["evidence"]
    assert evidence["registry"] == waybill.registry.address
    assert evidence["repository"] == "team/models/default/digits" and evidence["namespace"] == "team/models"
    assert evidence["http"]["status"] == evidence["status"] == said[0]
    assert evidence["http"]["method"] == part[0]
    waybill.registry.refuse = {}
    received = waybill.registry.received
    done = waybill.run("retry", "digits", "--json", check=True)
    assert done.events[-1]["reason"] == "ModelImported"
    if part == ("PUT", "manifest"):
        assert waybill.registry.received - received < 8192, "the layers were sent again"


def test_a_push_that_is_throttled_is_event_22(refusing, package):
    waybill = refusing({("POST", "upload", "digits"):
                        (429, "TOOMANYREQUESTS", "slow down", {"Retry_After": "3600"})})
    cause = ended(waybill, package(), "--name", "digits")
    assert_answered(waybill, cause)
    assert (cause["reason"], cause["kind"]) == ("ImageBuildThrottled", "registry_429")
    assert cause["evidence"]["retry_at"] > 0 and cause["retryable"]


def test_a_registry_that_is_away_is_event_2(waybill, base_layout, package):
    with UploadRegistry() as registry:
        waybill.environment |= {"WAYBILL_IMAGES_URL": f"{registry.reference}/team/models",
                                "WAYBILL_REGISTRY_RETRIES": "0"}
        waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    cause = ended(waybill, package(), "--name", "digits")
    assert_answered(waybill, cause)
    assert (cause["reason"], cause["kind"]) == ("ImageBuildFailed", "push_broken"), cause
    assert "connect" in cause["evidence"]["error"].lower()


def test_a_base_that_is_gone_is_its_event_and_then_2(refusing, package):
    waybill = refusing({})
    for place in [place for place in waybill.registry.manifests if place[0].endswith("runtimes")]:
        del waybill.registry.manifests[place]
    done = waybill.run("import", package(), "--name", "digits", "--json")
    lost, failed, last = done.events[-3:]
    assert [event["reason"] for event in (lost, failed, last)] == \
        ["SourceImageNotFound", "ImageBuildFailed", "ImportFailed"]
    assert last["cause"] == lost["seq"] and failed["cause"] == lost["seq"]
    assert failed["kind"] == "base_unusable"
    assert_answered(waybill, lost)
    assert_answered(waybill, failed)


@pytest.mark.parametrize("said, kind", [(DENIED, "target_denied"), ((503, "UNAVAILABLE"), "target_broken")])
def test_a_custom_image_that_is_not_taken_is_event_24(refusing, base_layout, said, kind):
    waybill = refusing({("POST", "upload", "app"): said})
    cause = ended(waybill, f"oci:{base_layout}:latest", "--type", "Image", "--name", "app")
    assert_answered(waybill, cause)
    assert (cause["reason"], cause["kind"]) == ("SourceImageShareFailed", kind), cause
    assert cause["evidence"]["target"].endswith("/team/models/default/app:0.0.1")
    assert cause["evidence"]["done"] == 0 and cause["evidence"]["http"]["status"] == said[0]


def test_logins_that_cannot_be_read_are_event_2(refusing, package, tmp_path):
    waybill = refusing({})
    (tmp_path / "auth.json").write_text("{")
    waybill.environment["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    cause = ended(waybill, package(), "--name", "digits")
    assert_answered(waybill, cause)
    assert (cause["reason"], cause["kind"]) == ("ImageBuildFailed", "login_unread"), cause


def test_an_image_that_is_not_described_there_is_imported_all_the_same(refusing, package):
    waybill = refusing({})
    waybill.registry.refuse_subjects = True
    waybill.run("import", package(), "--name", "digits", check=True)
    assert "not described" in waybill.run("log", "digits", check=True).stdout


@pytest.mark.parametrize("forgets, most", [(False, 1.1), (True, 2.6)])
def test_an_upload_that_is_cut_goes_on(waybill, base_layout, package, forgets, most):
    with UploadRegistry() as registry:
        waybill.environment |= {"WAYBILL_IMAGES_URL": f"{registry.reference}/team",
                                "WAYBILL_REGISTRY_RETRIES": "3"}
        waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
        registry.received, registry.forgets = 0, forgets
        registry.size, registry.cuts = LARGE, [0.25, 0.5, 0.75]
        waybill.run("import", small_and_large(package), "--name", "digits", check=True)
        assert not registry.cuts and registry.received <= most * LARGE + (1 << 20)
        details = shown(waybill, "digits")
        _, manifest = registry.manifests["team/default/digits", details["image_digest"]]
        for layer in json.loads(manifest)["layers"]:
            assert len(registry.blobs["team/default/digits", layer["digest"]]) == layer["size"]


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


def test_gc_says_of_a_registry_that_lets_nobody_delete(refusing, package):
    waybill = refusing({("DELETE", "manifest"): (405, "UNSUPPORTED")})
    waybill.run("import", package(), "--name", "digits", check=True)
    waybill.run("delete", "digits:0.0.1", check=True)
    done = waybill.run("gc", check=True)
    assert "does not let us delete" in done.stderr, str(done)


# -- killed --

def test_killed_while_a_layer_streams_it_goes_on(refusing, package):
    waybill = refusing({})
    registry = waybill.registry
    folder = small_and_large(package)
    process = waybill.start("import", folder, "--name", "digits", "--json", stderr=subprocess.DEVNULL)
    wait_for(lambda: registry.received > LARGE // 4)
    process.kill()
    seen = [json.loads(line) for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    waybill.run("retry", "digits", check=True)
    events = waybill.run("events", "digits", "--json", check=True).events
    assert events[:len(seen)] == seen
    assert [name for name in event_names(events) if name != "ImportResumed"] == SOUND
    assert_timeline(events)
    assert "whole" in waybill.run("verify", check=True).stdout


def test_a_cancelled_import_gives_its_upload_up(refusing, package):
    waybill = refusing({})
    registry = waybill.registry
    process = waybill.start("import", small_and_large(package), "--name", "digits",
                            stderr=subprocess.DEVNULL)
    wait_for(lambda: registry.received > LARGE // 8)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stdout.close()
    assert not registry.uploads


@pytest.mark.parametrize("part", [("POST", "upload"), ("PUT", "manifest"), ("HEAD", "blob"), ("GET", "manifest")])
def test_stopped_while_it_waits_for_the_registry_it_stays_open(refusing, package, part):
    waybill = refusing({part: (503, "UNAVAILABLE")})
    waybill.environment |= {"WAYBILL_REGISTRY_RETRIES": "50", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "60"}
    process = waybill.start("import", package(), "--name", "digits", "--json", stderr=subprocess.DEVNULL)
    asked = waybill.registry.requests
    before = len(asked)
    wait_for(lambda: len(asked) > before + 2 and asked[-1][0] == asked[-2][0] == part[0])
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    seen = [json.loads(line) for line in process.stdout.read().splitlines()]
    process.stdout.close()
    assert "ImportFailed" not in event_names(seen)
    waybill.registry.refuse = {}
    waybill.run("retry", "digits", check=True)
    events = waybill.run("events", "digits", "--json", check=True).events
    assert [name for name in event_names(events) if name != "ImportResumed"] == SOUND


def test_cancelled_while_it_waits_for_the_registry_it_ends(refusing, package):
    waybill = refusing({("PUT", "manifest"): (503, "UNAVAILABLE")})
    waybill.environment |= {"WAYBILL_REGISTRY_RETRIES": "50", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "60"}
    process = waybill.start("import", package(), "--name", "digits", "--json", stderr=subprocess.DEVNULL)
    wait_for(lambda: waybill.registry.count("PUT", "manifests/sha256") > 1)
    waybill.run("cancel", "digits", check=True)
    assert process.wait(30) == 1
    process.stdout.close()
    names = event_names(waybill.run("events", "digits", "--json", check=True).events)
    assert names[-1] == "ImportFailed" and "ImportCancelled" in names and "ImageBuildSystemError" not in names
