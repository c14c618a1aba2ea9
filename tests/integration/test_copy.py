"""`waybill copy`, and image.share_to: a model's image goes to registries, layouts and archives."""
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

from corpus_runner import assert_answered
from upload_registry import UploadRegistry

LARGE = 64 << 20  # from here on a file has a layer of its own


@pytest.fixture
def model(waybill, base_layout, package):
    """A model with a layer of 64 MiB and a small one."""
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    folder = package(name="digits")
    with open(folder / "model/large.bin", "wb") as file:
        file.write(os.urandom(1 << 20) * (LARGE >> 20))
    waybill.run("import", folder, "--name", "digits", check=True)
    waybill.environment["WAYBILL_REGISTRY_RETRIES"] = "3"
    return waybill


def shown(waybill):
    return json.loads(waybill.run("show", "digits", "--json", check=True).stdout)


def whole(registry, waybill, repository, tag):
    """The registry has the image, byte for byte what is imported."""
    details = shown(waybill)
    media_type, manifest = registry.manifests[repository, tag]
    assert registry.manifests[repository, details["image_digest"]] == (media_type, manifest)
    for layer in json.loads(manifest)["layers"]:
        assert len(registry.blobs[repository, layer["digest"]]) == layer["size"]


def test_what_is_there_is_not_sent_again(model):
    with UploadRegistry() as registry:
        done = model.run("copy", "digits", f"{registry.reference}/team/digits", "--json", check=True)
        first = json.loads(done.stdout)
        assert first["bytes_copied"] == first["size"] and first["bytes_present"] == 0
        whole(registry, model, "team/digits", "0.0.1")
        received = registry.received
        done = model.run("copy", "digits", f"{registry.reference}/team/digits:other", check=True)
        assert "there already" in done.stdout and registry.received == received
        assert registry.count("POST") == registry.count("PUT", "uploads")
        assert not registry.uploads


@pytest.mark.parametrize("location", ["path", "url"])
def test_a_cut_upload_goes_on_where_it_broke(model, location):
    with UploadRegistry(cuts=[0.25, 0.5, 0.75], size=LARGE, location=location) as registry:
        model.run("copy", "digits", f"{registry.reference}/team/digits", check=True)
        assert not registry.cuts
        whole(registry, model, "team/digits", "0.0.1")
        assert registry.received <= 1.1 * LARGE + (1 << 20)


def test_a_registry_that_forgets_a_torn_upload_gets_that_blob_again(model):
    with UploadRegistry(cuts=[0.5], size=LARGE, forgets=True) as registry:
        model.run("copy", "digits", f"{registry.reference}/team/digits", check=True)
        whole(registry, model, "team/digits", "0.0.1")
        assert 1.4 * LARGE < registry.received < 1.7 * LARGE


def test_a_token_that_expires_while_it_pushes_is_replaced(model):
    model.run("credential", "add", "--for", "registry", "--host", "127.0.0.1", "--user", "alice",
              "--secret-stdin", check=False)
    with UploadRegistry(token_seconds=0.2) as registry:
        subprocess.run([model.program, "credential", "add", "--for", "registry", "--host",
                        registry.address, "--user", "alice", "--secret-stdin"], input="s3cret",
                       text=True, check=True, env=model.environment, capture_output=True)
        model.run("copy", "digits", f"{registry.reference}/team/digits", check=True)
        whole(registry, model, "team/digits", "0.0.1")
        assert len(registry.tokens) >= 1


def test_a_busy_registry_is_waited_for(model):
    with UploadRegistry(busy=2) as registry:
        model.run("copy", "digits", f"{registry.reference}/team/digits", check=True)
        whole(registry, model, "team/digits", "0.0.1")


@pytest.mark.parametrize("refuse, words", [
    ({("PUT", "manifest"): (403, "DENIED")}, ["manifests/0.0.1", "403 DENIED: said the test"]),
    ({("POST", "upload"): (401, "UNAUTHORIZED")}, ["401 UNAUTHORIZED", "podman login"]),
    ({("PATCH", "upload"): (413, "SIZE_INVALID")}, ["413 SIZE_INVALID"]),
    ({("PUT", "upload"): (400, "DIGEST_INVALID")}, ["400 DIGEST_INVALID"]),
    ({("HEAD", "blob"): (500, "UNKNOWN")}, ["500"])])
def test_a_refusal_is_told(model, refuse, words):
    model.environment["WAYBILL_REGISTRY_RETRIES"] = "0"
    with UploadRegistry(refuse=refuse) as registry:
        done = model.run("copy", "digits", f"{registry.reference}/team/digits")
        assert done.returncode == 1 and all(word in done.stderr for word in words), str(done)
        assert not registry.manifests


def test_ctrl_c_ends_a_copy(model):
    with UploadRegistry(refuse={("PUT", "manifest"): (503, "UNAVAILABLE")}) as registry:
        model.environment["WAYBILL_REGISTRY_RETRIES"] = "9"
        process = model.start("copy", "digits", f"{registry.reference}/team/digits")
        until = time.monotonic() + 30
        while not registry.count("PUT", "manifests") and time.monotonic() < until:
            time.sleep(0.02)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130 and "interrupted" in stderr
        assert time.monotonic() - began < 5


def test_a_damaged_layer_is_not_copied(model):
    layer = max(shown(model)["layers"], key=lambda one: one["size"])
    path = model.data / "images/blobs/sha256" / layer["digest"].removeprefix("sha256:")
    with open(path, "r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with UploadRegistry() as registry:
        done = model.run("copy", "digits", f"{registry.reference}/team/digits")
        assert done.returncode == 1 and "is damaged" in done.stderr, str(done)
        assert not registry.manifests and not registry.uploads
        assert ("team/digits", layer["digest"]) not in registry.blobs


def test_archive_and_layout_are_taken_by_others(model, tmp_path):
    digest = shown(model)["image_digest"]
    model.run("copy", "digits", tmp_path / "image.tar", check=True)
    model.run("copy", "digits", f"oci:{tmp_path}/layout", check=True)
    model.run("copy", "digits", f"oci:{tmp_path}/layout:second", check=True)
    for name in (f"oci-archive:{tmp_path}/image.tar", f"oci:{tmp_path}/layout:0.0.1",
                 f"oci:{tmp_path}/layout:second"):
        inspected = subprocess.run(["skopeo", "inspect", name], capture_output=True, check=True)
        assert json.loads(inspected.stdout)["Digest"] == digest
    assert sorted(os.listdir(tmp_path / "layout")) and not list(tmp_path.glob("*.tmp"))
    with tarfile.open(tmp_path / "image.tar") as tar:
        assert tar.getnames()[:2] == ["oci-layout", "index.json"]


def test_an_archive_goes_through_a_pipe(model):
    done = subprocess.run([model.program, "copy", "digits", "oci-archive:-"], env=model.environment,
                          capture_output=True, check=True)
    assert len(done.stdout) > LARGE and done.stdout[257:262] == b"ustar"


@pytest.mark.parametrize("target, words", [
    ("nowhere", ["HOST[:PORT]/REPOSITORY"]), ("127.0.0.1:1/Team/x", ["lower-case"]),
    ("127.0.0.1:1/x@sha256:" + 64 * "0", ["a tag to copy to"])])
def test_a_target_that_is_none(model, target, words):
    done = model.run("copy", "digits", target)
    assert done.returncode == 2 and all(word in done.stderr for word in words), str(done)


def test_a_model_without_an_image(waybill, package, base_layout):
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    waybill.run("import", package(config={"model_type": "PyTroch"}, name="broken"))
    done = waybill.run("copy", "broken", "127.0.0.1:1/x")
    assert done.returncode == 1 and "has no image: it is failed" in done.stderr


# -- image.share_to --

def shared_import(waybill, package, *settings, status=0):
    done = waybill.run("import", package(name="app"), "--name", "app", "--json", *settings)
    assert done.returncode == status, str(done)
    return done.events


@pytest.fixture
def bare(waybill, base_layout):
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    waybill.environment["WAYBILL_REGISTRY_RETRIES"] = "0"
    return waybill


def test_built_images_are_shared(bare, package):
    with UploadRegistry() as registry:
        targets = f"{registry.reference}/a {registry.reference}/b/"
        events = shared_import(bare, package, "--set", f"image.share_to={targets}")
        assert events[-1]["reason"] == "ModelImported"
        shared = events[-1]["evidence"]["shared"]
        assert [one["target"] for one in shared] == [
            f"{registry.reference}/{name}/default/app:0.0.1" for name in "ab"]
        assert registry.manifests["a/default/app", "0.0.1"] == registry.manifests["b/default/app", "0.0.1"]
        assert shared[1]["bytes_mounted"] > shared[1]["bytes_copied"]


def test_a_target_that_refuses_is_32_and_the_import_stays(bare, package):
    with UploadRegistry() as good, UploadRegistry(refuse={("PUT", "manifest"): (403, "DENIED")}) as bad:
        targets = f"{bad.reference}/x {good.reference}/y"
        events = shared_import(bare, package, "--set", f"image.share_to={targets}")
        assert events[-1]["reason"] == "ModelImported"
        [event] = [one for one in events if one["reason"] == "RomaImageShareFailed"]
        assert event["stage"] == "share" and event["event_type"] == "abnormal"
        evidence = event["evidence"]
        assert evidence["target"] == f"{bad.reference}/x/default/app:0.0.1"
        assert evidence["http"]["method"] == "PUT" and evidence["status"] == 403
        assert evidence["code"] == "DENIED" and "403 DENIED" in event["summary"]
        assert_answered(bare, event)
        assert good.manifests["y/default/app", "0.0.1"]


def test_with_share_required_it_fails_the_import_and_a_retry_packs_nothing(bare, package):
    refuse = {("PUT", "manifest"): (403, "DENIED")}
    with UploadRegistry(refuse=refuse) as registry:
        settings = ("--set", f"image.share_to={registry.reference}/x", "--set",
                    "image.share_required=true")
        events = shared_import(bare, package, *settings, status=1)
        failed = events[-1]
        assert failed["reason"] == "ImportFailed"
        assert events[failed["cause"] - 1]["reason"] == "RomaImageShareFailed"
        registry.refuse = {}
        again = bare.run("retry", "app", "--json", *settings, check=True)
        assert again.reasons[-1] == "ModelImported" and "ModelFilesImported" not in again.reasons
        assert registry.manifests["x/default/app", "0.0.1"]


def test_doctor_proves_that_a_target_takes_what_we_push(bare):
    with UploadRegistry() as good, UploadRegistry(refuse={("POST", "upload"): (403, "DENIED")}) as bad:
        done = bare.run("doctor", "--json", "--set",
                        f"image.share_to={good.reference}/a {bad.reference}/b Wrong/c")
        found = [check for check in map(json.loads, done.stdout.splitlines())
                 if check["id"] == "share-registry"]
        assert done.returncode == 1
        assert [check["status"] for check in found] == ["ok", "fail", "fail"], found
        assert "403 DENIED" in found[1]["found"] and "podman login" in found[1]["mend"]
        assert found[2]["mend"] == "image.share_to = HOST/NAMESPACE"
        assert not good.uploads and not good.blobs


def test_a_target_that_is_no_reference_is_32(bare, package):
    events = shared_import(bare, package, "--set", "image.share_to=NoRegistry")
    [event] = [one for one in events if one["reason"] == "RomaImageShareFailed"]
    assert "NoRegistry" in event["evidence"]["target"]


# -- of a server's models --

@pytest.mark.parametrize("to", ["registry", "layout", "archive"])
def test_a_server_s_model_is_copied_from_its_registry(server, package, waybill_at, tmp_path, to):
    details = server.settled(server.create(package(), "digits").json["model_id"])
    client = waybill_at("client")
    client.environment["WAYBILL_SERVER"] = "http://" + server.netloc
    with UploadRegistry(referrers=True) as registry:
        target = {"registry": f"{registry.reference}/team/digits", "layout": f"oci:{tmp_path}/layout",
                  "archive": tmp_path / "image.tar"}[to]
        done = json.loads(client.run("copy", "digits", target, "--json", check=True).stdout)
        assert done["digest"] == details["image_digest"]
        assert done["described"] is (to == "registry")
        if to == "registry":
            assert ("team/digits", "0.0.1") in registry.manifests
            return
    name = {"layout": f"oci:{tmp_path}/layout:0.0.1", "archive": f"oci-archive:{tmp_path}/image.tar"}[to]
    inspected = subprocess.run(["skopeo", "inspect", name], capture_output=True, check=True)
    assert json.loads(inspected.stdout)["Digest"] == details["image_digest"]
