"""What an image carries with it: the timeline of its import and its provenance, read from a registry."""
import base64
import hashlib
import json
import subprocess
import time

import pytest

from upload_registry import UploadRegistry

LARGE = 64 << 20


@pytest.fixture
def model(waybill, base_layout, package):
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    waybill.folder = package(name="digits")
    waybill.environment["WAYBILL_REGISTRY_RETRIES"] = "1"
    return waybill


def imported(waybill, registry, *options):
    waybill.run("import", waybill.folder, "--name", "digits", *options, check=True)
    waybill.run("copy", "digits", f"{registry.reference}/team/digits:1", check=True)
    return f"{registry.reference}/team/digits:1"


def carried(waybill, reference, *options):
    return json.loads(waybill.run("show", reference, "--json", *options, check=True).stdout)


@pytest.mark.parametrize("referrers", [True, False], ids=["referrers", "fallback-tag"])
def test_an_image_carries_its_timeline_and_what_it_was_made_of(model, waybill_at, referrers):
    with UploadRegistry(referrers=referrers) as registry:
        reference = imported(model, registry)
        found = carried(waybill_at("elsewhere"), reference)
    details = json.loads(model.run("show", "digits", "--json", check=True).stdout)
    assert found["digest"] == details["image_digest"] and found["signer"] is None
    events = model.run("events", "digits", "--json", check=True).events
    assert found["timeline"]["events"] == events[:-1], "up to the end of the build"
    assert found["timeline"]["events"][-1]["reason"] == "ImageBuildStatus"
    statement = found["statement"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [{"name": "default/digits:0.0.1", "digest": {
        "sha256": found["digest"].removeprefix("sha256:")}}]
    made_of = {one["name"]: one["digest"]["sha256"] for one in
               statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    for path in model.folder.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(model.folder))
            assert made_of[name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(made_of["base"]) == 64


def test_a_signature_is_verified_by_us_and_by_openssl(model, tmp_path):
    made = json.loads(model.run("key", "create", "--json", check=True).stdout)
    public = tmp_path / "public.pem"
    public.write_text(made["public_key"])
    assert model.run("key", "show", check=True).stdout == made["public_key"]
    assert (model.data / "signing.key").stat().st_mode & 0o777 == 0o600
    with open(model.folder / "model/large.bin", "wb") as file:
        file.truncate(LARGE)
    with UploadRegistry() as registry:
        reference = imported(model, registry)
        found = carried(model, reference, "--key", public)
        assert found["signer"] == made["keyid"] and found["verified"] is True
        assert carried(model, reference)["verified"] is False
        [sealed] = [json.loads(body) for body in registry.blobs.values()
                    if body.startswith(b"{") and b"payloadType" in body]
        other = tmp_path / "other.pem"
        subprocess.run("openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout -out %s"
                       % other, shell=True, check=True, capture_output=True)
        done = model.run("show", reference, "--key", other)
        assert done.returncode == 1 and "has not signed it" in done.stderr
    large = [one for one in found["statement"]["predicate"]["buildDefinition"]["resolvedDependencies"]
             if one["name"] == "model/large.bin"]
    assert large[0]["digest"]["sha256"] == hashlib.sha256(bytes(LARGE)).hexdigest()
    payload = base64.b64decode(sealed["payload"])
    kind = sealed["payloadType"].encode()
    assert json.loads(payload) == found["statement"]
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(sealed["signatures"][0]["sig"]))
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", tmp_path / "sig",
                    tmp_path / "pae"], check=True, capture_output=True)


def test_a_second_key_is_refused_and_none_is_said(model):
    done = model.run("key", "show")
    assert done.returncode == 1 and "waybill key create" in done.stderr
    model.run("key", "create", check=True)
    done = model.run("key", "create")
    assert done.returncode == 2 and "is there already" in done.stderr
    (model.data / "signing.key").write_text("no key")
    done = model.run("import", model.folder, "--name", "digits", "--json")
    assert done.returncode == 1 and done.events[-2]["reason"] == "ImageBuildSystemError"
    assert "signing.key" in json.dumps(done.events[-2]["evidence"])


def replace_blob(registry, mark, change):
    """Another document in the place of one; its digest, and what names it, are made to fit."""
    def put(old, new):
        was = "sha256:" + hashlib.sha256(old).hexdigest()
        now = "sha256:" + hashlib.sha256(new).hexdigest()
        registry.blobs["team/digits", now] = new
        for key, (kind, body) in list(registry.manifests.items()):
            body_new = body.replace(was.encode(), now.encode())
            if b'"subject"' in body:
                manifest = json.loads(body_new)
                for layer in manifest["layers"]:
                    if layer["digest"] == now:
                        layer["size"] = len(new)
                body_new = json.dumps(manifest).encode()
                digest = "sha256:" + hashlib.sha256(body_new).hexdigest()
                if body_new != body:
                    registry.manifests["team/digits", digest] = (kind, body_new)
                    old_digest = "sha256:" + hashlib.sha256(body).hexdigest()
                    registry.manifests.pop(("team/digits", old_digest), None)
    [old] = [body for body in registry.blobs.values() if mark in body[:200]]
    put(old, change(old))


@pytest.mark.parametrize("mark, change, words", [
    (b'"events"', lambda text: text.replace(b"ImportStarted", b"ImportStopped"), "is not the one"),
    (b'"_type"', lambda text: text.replace(b'"sha256":"', b'"sha256":"0', 1), "of another image"),
    (b'"_type"', lambda text: b"[]", "expected an object"),
    (b'"events"', lambda text: b"{", "the timeline, line 1")])
def test_what_was_changed_on_its_way_is_refused(model, mark, change, words):
    with UploadRegistry(referrers=True) as registry:
        reference = imported(model, registry)
        replace_blob(registry, mark, change)
        done = model.run("show", reference)
        assert done.returncode == 1 and words in done.stderr, str(done)


def test_it_is_shown_to_people(model):
    with UploadRegistry() as registry:
        reference = imported(model, registry)
        shown = model.run("show", reference, check=True).stdout
        assert "no signature: a description" in shown and "Start model import." in shown
        assert "model/config.json" in shown
        assert "未签名" in model.run("show", reference, "--lang", "zh", check=True).stdout
        done = model.run("show", f"{registry.reference}/team/digits:2")
        assert done.returncode == 1 and "has no tag 2" in done.stderr


def test_an_image_that_carries_nothing(model, base_layout):
    with UploadRegistry() as registry:
        subprocess.run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{base_layout}:latest",
                        f"docker://{registry.address}/team/plain:1"], check=True, capture_output=True)
        done = model.run("show", f"{registry.reference}/team/plain:1")
        assert done.returncode == 1 and "carries nothing" in done.stderr


def test_shared_images_carry_it_too_and_it_outlives_gc(model, tmp_path):
    with UploadRegistry() as registry:
        model.run("import", model.folder, "--name", "digits", "--set",
                  f"image.share_to={registry.reference}/x", check=True)
        assert carried(model, f"{registry.reference}/x/default/digits:0.0.1")["timeline"]
    model.run("gc", check=True)
    assert "whole" in model.run("verify", check=True).stdout
    model.run("backup", tmp_path / "saved", check=True)
    kept = sorted(path.name for path in (model.data / "images/blobs/sha256").iterdir())
    assert kept == sorted(path.name for path in (tmp_path / "saved/images/blobs/sha256").iterdir())
    model.run("delete", "digits", check=True)
    model.run("gc", check=True)
    left = len(list((model.data / "images/blobs/sha256").iterdir()))
    assert left < len(kept) - 3


def test_of_several_the_import_that_ended_last_is_shown(model):
    """The same image, imported twice: a stranger's description does not hide what the key signed."""
    with UploadRegistry(referrers=True) as registry:
        imported(model, registry)
        first = carried(model, f"{registry.reference}/team/digits:1")
        public = model.data / "public.pem"
        public.write_text(json.loads(model.run("key", "create", "--json", check=True).stdout)["public_key"])
        time.sleep(1.1)  # its time has a resolution of a second
        model.run("delete", "digits", check=True)
        reference = imported(model, registry)
        assert len([1 for kind, body in registry.manifests.values() if b'"subject"' in body]) == 2
        second = carried(model, reference)
        assert second["digest"] == first["digest"] and second["signer"] and not first["signer"]
        (model.data / "signing.key").unlink()
        time.sleep(1.1)
        model.run("delete", "digits", check=True)
        imported(model, registry)
        assert carried(model, reference)["signer"] is None
        assert carried(model, reference, "--key", public)["timeline"] == second["timeline"]


def test_a_registry_that_refuses_it_has_the_image_and_copy_says_so(model):
    with UploadRegistry() as registry:
        imported(model, registry)
        registry.refuse = {("PUT", "manifest"): (400, "MANIFEST_INVALID")}
        done = model.run("copy", "digits", f"{registry.reference}/team/digits:1")
        assert done.returncode == 1, "the image's own manifest is refused, too"
    with UploadRegistry(refuse_subjects=True) as registry:
        done = model.run("copy", "digits", f"{registry.reference}/team/digits:1", check=True)
        assert "not what it carries with it" in done.stderr and "MANIFEST_INVALID" in done.stderr
        row = json.loads(model.run("copy", "digits", f"{registry.reference}/team/digits:1", "--json",
                                   check=True).stdout)
        assert row["described"] is False and "MANIFEST_INVALID" in row["why"]
        model.run("import", model.folder, "--name", "other", "--set",
                  f"image.share_to={registry.reference}/x", check=True)
        last = model.run("events", "other", "--json", check=True).events[-1]
        [shared] = last["evidence"]["shared"]
        assert shared["described"] is False and "MANIFEST_INVALID" in shared["why"]


def test_a_damaged_layer_is_not_signed_for(model):
    model.run("key", "create", check=True)
    large = model.folder / "model/large.bin"
    with open(large, "wb") as file:
        file.truncate(LARGE)
    model.run("import", model.folder, "--name", "digits", check=True)
    layers = json.loads(model.run("show", "digits", "--json", check=True).stdout)["layers"]
    [layer] = [one["digest"] for one in layers if one.get("file") == "large.bin"]
    with open(model.data / "images/blobs/sha256" / layer.removeprefix("sha256:"), "r+b") as file:
        file.seek(LARGE // 2)
        file.write(b"damage")
    done = model.run("import", model.folder, "--name", "digits", "--json")
    assert done.returncode == 1 and done.reasons[-1] == "ImportFailed"
    cause = done.events[done.events[-1]["cause"] - done.events[0]["seq"]]
    assert "is damaged" in json.dumps(cause["evidence"]) and layer in json.dumps(cause["evidence"])
