"""A registry that keeps the images and fails, refuses or is waited for: each ends in the event that names
it, or goes on where it was."""
import json
import signal
import subprocess

import pytest

from attempts import SOUND
from conftest import wait_for
from corpus_runner import assert_answered
from image_store import LARGE, ended, refusing, shown, small_and_large  # noqa: F401
from upload_registry import UploadRegistry
from wholeness import assert_timeline, event_names

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


def test_a_base_that_is_not_known_changes_no_image(refusing, package):
    """How many layers a package of many large files has depends on the base's: it is not packed in
    another way because the base could not be read for a moment."""
    waybill = refusing({("GET", "manifest", "runtimes"): (503, "UNAVAILABLE")})
    folder = package({f"model/{number}.bin": LARGE for number in range(51)}, name="many")
    received = waybill.registry.received
    cause = ended(waybill, folder, "--name", "digits")
    assert (cause["reason"], cause["kind"]) == ("ImageTagListFailed", "server_error"), cause
    assert_answered(waybill, cause)
    assert cause["stage"] == "copy" and waybill.registry.received == received


def test_verify_waits_for_the_registry_without_holding_the_store(refusing, package):
    waybill = refusing({})
    waybill.run("import", package(), "--name", "digits", check=True)
    waybill.registry.refuse = {("GET", "manifest"): (503, "UNAVAILABLE")}
    waybill.environment["WAYBILL_REGISTRY_RETRIES"] = "50"
    asked = len(waybill.registry.requests)
    process = waybill.start("verify", stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(waybill.registry.requests) > asked + 1)
    waybill.run("update", "digits", "--description", "new", "--set", "store.busy_timeout_ms=500", check=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


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


def test_a_registry_that_does_not_take_the_list_of_a_dynamic_models_files_is_event_2(refusing, package):
    """It could drop what nothing there refers to: without the list there is no model."""
    waybill = refusing({})
    waybill.registry.refuse_subjects = True
    cause = ended(waybill, package(), "--name", "digits", "--dynamic", built=True)
    assert (cause["reason"], cause["kind"]) == ("ImageBuildFailed", "push_broken"), cause
    assert_answered(waybill, cause)
    waybill.registry.refuse_subjects = False
    assert waybill.run("retry", "digits", "--json", check=True).events[-1]["reason"] == "ModelImported"


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


def test_gc_says_of_a_registry_that_lets_nobody_delete(refusing, package):
    waybill = refusing({("DELETE", "manifest"): (405, "UNSUPPORTED")})
    waybill.run("import", package(), "--name", "digits", check=True)
    waybill.run("delete", "digits:0.0.1", check=True)
    done = waybill.run("gc", check=True)
    assert "does not let us delete" in done.stderr, str(done)
    told = json.loads(waybill.run("gc", "--json", check=True).stdout)
    assert told["images"] == 0 and told["images_refused"]


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
