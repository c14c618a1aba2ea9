"""Doing it again: the same version imported again, tries by itself, an end in time, another platform,
another stage to begin at; and what of the package is read again for it."""
import json
import os
import shutil
import time

import pytest

from conftest import Waybill, finish, make_scratch
from oci_layout import host_platform, make_base
from wholeness import assert_store, assert_timeline, event_names, index_of

MIB = 1 << 20
BUILT = ["ImageBuildRequested", "ImageBuildStatus(queued)", "ImageBuildStarted",
         "ImageBuildStatus(running)", "ImageBuilt", "ImageBuildStatus(succeeded)", "ModelImported"]
SOUND = ["ImportStarted", "ModelSizeCalculated", "ModelFilesImported", *BUILT]
OTHER = "linux/s390x" if host_platform() != "linux/s390x" else "linux/riscv64"


@pytest.fixture
def waybill(tmp_path_factory):
    where = make_scratch(tmp_path_factory, "again", 2 << 30)
    yield Waybill(where / "data")
    shutil.rmtree(where)


def timeline(waybill, model="m"):
    return waybill.run("events", model, "--json", check=True).events


def attempt(waybill, number, model="m"):
    """Names of its events; the whole timeline must be sound."""
    events = timeline(waybill, model)
    assert_timeline(events)
    return event_names(event for event in events if event["attempt"] == number)


def models(waybill):
    return [json.loads(line) for line in
            waybill.run("models", "--json", check=True).stdout.splitlines()]


# -- the platform of one import --

@pytest.fixture
def other_base(ready, tmp_path):
    """A further runtime, `other`, for another platform than the host's."""
    make_base(tmp_path / "other", platforms=[OTHER])
    ready.run("--set", "image.platform=" + OTHER, "runtime", "add", "other",
              "--image", f"oci:{tmp_path}/other:latest", check=True)
    return ready


def image_config(waybill, name):
    blobs = waybill.data / "images/blobs/sha256"
    manifest = json.loads((blobs / index_of(waybill.data)[name][7:]).read_text())
    return json.loads((blobs / manifest["config"]["digest"][7:]).read_text())


def test_platform_of_one_import_chooses_the_base(other_base, package):
    other_base.run("import", package(), "--name", "host", check=True)
    other_base.run("import", package(), "--name", "m", "--platform", OTHER, check=True)
    assert "%(os)s/%(architecture)s" % image_config(other_base, "default/m:0.0.1") == OTHER
    assert "%(os)s/%(architecture)s" % image_config(other_base, "default/host:0.0.1") \
        == host_platform()
    assert timeline(other_base)[0]["evidence"]["platform"] == OTHER


def test_platform_is_kept_by_a_retry(other_base, package):
    source = package(config={"model_type": "Nonsense"})
    assert other_base.run("import", source, "--name", "m", "--platform", OTHER).returncode == 1
    (source / "model/config.json").write_text('{"model_algorithm": "t", "model_type": "Custom"}')
    other_base.run("retry", "m", check=True)
    assert "%(os)s/%(architecture)s" % image_config(other_base, "default/m:0.0.1") == OTHER


def test_platform_that_no_base_has_is_said_with_those_there_are(ready, package):
    failed = ready.run("import", package(), "--name", "m", "--platform", OTHER, "--json")
    assert failed.returncode == 1, str(failed)
    problem = failed.events[-2]
    assert (problem["reason"], problem["kind"]) == ("ConfigValueInvalid", "no_runtime")
    assert OTHER in problem["summary"] and f"base ({host_platform()})" in problem["summary"]
    assert f"--set image.platform={OTHER}" in " ".join(problem["advice"])
    assert ready.run("check", package(), "--platform", OTHER).returncode == 1


def test_runtime_of_another_platform_is_refused(ready, package):
    refused = ready.run("import", package(), "--name", "m", "--runtime", "base", "--platform", OTHER)
    assert refused.returncode == 2 and not refused.stdout, str(refused)
    assert f"base is for {host_platform()}, not for {OTHER}" in refused.stderr
    assert models(ready) == []


@pytest.mark.parametrize("platform", ["linux", "linux/", "linux//v8", "a/b/c/d", "Linux/amd64", ""])
def test_platform_that_is_none_is_refused(waybill, package, platform):
    refused = waybill.run("import", package(), "--platform", platform)
    assert refused.returncode == 2 and f'--platform: "{platform}"' in refused.stderr, str(refused)


def test_platform_of_a_custom_image(ready, tmp_path):
    make_base(tmp_path / "image", platforms=[OTHER, "linux/mips64le"])
    source = ["import", f"oci:{tmp_path}/image:latest", "--type", "Image", "--name", "m"]
    missing = ready.run(*source, "--json")
    assert missing.events[-2]["kind"] == "platform", str(missing)
    ready.run(*source, "--platform", OTHER, check=True)
    assert image_config(ready, "default/m:0.0.1")["architecture"] == OTHER.split("/")[1]
