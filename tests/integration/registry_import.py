"""Imports of an image from a registry that does something wrong (faulty_registry.py), and what the
event that ends them has to tell. Times are short: one retry, and a second of patience."""
import json

import pytest

from corpus_runner import assert_answered
from faulty_registry import REPOSITORY, SECRET, TAG, TOKEN, FaultyRegistry, basic, digest_of
from wholeness import assert_store, index_of

LOGIN, TAGS, LOST = "SourceImageTokenExpired", "ImageTagListFailed", "SourceImageNotFound"
SHARE, BUSY = "SourceImageShareFailed", "RegistryThrottled"
IMPATIENCE = {"WAYBILL_REGISTRY_RETRIES": "1", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "1"}


@pytest.fixture
def lone(ready, tmp_path):
    """Waybill without any login; with a runtime, so that there is an index of images."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        ready.environment.pop(name, None)
    ready.environment |= {"HOME": str(tmp_path)} | IMPATIENCE
    return ready


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


def log_in(waybill, registry, secret=SECRET):
    path = waybill.data.parent / "auth.json"
    path.write_text(json.dumps({"auths": {registry.host: {
        "auth": basic(secret=secret).removeprefix("Basic ")}}}))
    waybill.environment["REGISTRY_AUTH_FILE"] = str(path)


def arguments(reference, *options):
    return ["import", reference, "--type", "Image", "--name", "m", "--json", *options]


def imported(waybill, registry, *options, reference=None):
    result = waybill.run(*arguments(reference or registry.reference, *options))
    assert result.reasons[-1] == "ModelImported", str(result)
    assert "default/m:0.0.1" in index_of(waybill.data)
    assert_store(waybill)
    return result


def failed(waybill, registry, reason, kind, *options, reference=None):
    """The event that ended the import: answered whole, without a secret; nothing of it is stored."""
    result = waybill.run(*arguments(reference or registry.reference, *options))
    assert result.returncode == 1, str(result)
    [cause] = [event for event in result.events if event["seq"] == result.events[-1]["cause"]]
    assert (cause["reason"], cause.get("kind") or "") == (reason, kind), str(result)
    assert_answered(waybill, cause)
    shown = str(result) + str(waybill.run("show", "m")) + str(waybill.run("events", "m", "--lang", "zh"))
    for secret in (SECRET, TOKEN, basic()):
        assert secret not in shown
    assert "\x1b" not in shown and "\\u001b" not in shown
    assert "default/m:0.0.1" not in index_of(waybill.data)
    assert_store(waybill)
    return cause


def assert_evidence(event, registry, path, number, attempts, code=None, who="anonymous", method="GET"):
    evidence, http = event["evidence"], event["evidence"]["http"]
    assert (http["method"], http["url"], http.get("status")) == (method, registry.url + path, number), http
    assert http.get("code") == code and evidence.get("code") == code, http
    assert (evidence["attempts"], evidence["who"]) == (attempts, who), evidence
    assert evidence["registry"] == registry.host and evidence["peer"]["ip"] == "127.0.0.1"
    assert event["retryable"] == (event["fix_by"] == "wait")


def path_of(registry, part):
    return {"tags": f"/v2/{REPOSITORY}/tags/list", "manifest": f"/v2/{REPOSITORY}/manifests/{TAG}",
            "config": f"/v2/{REPOSITORY}/blobs/{next(iter(registry.image.configs))}",
            "layer": f"/v2/{REPOSITORY}/blobs/{digest_of(registry.image.layer)}"}[part]
