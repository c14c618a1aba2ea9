"""Doing it again: tries by itself, an end in time, another platform,
another stage to begin at; and what of the package is read again for it."""
import json
import os
import shutil
import signal
import time

import pytest

from attempts import SOUND, attempt, models, state, timeline, write_at
from conftest import Waybill, finish, make_scratch
from oci_layout import host_platform, make_base
from tracing import bytes_read
from wholeness import assert_store, event_names, index_of

MIB = 1 << 20
OTHER = "linux/s390x" if host_platform() != "linux/s390x" else "linux/riscv64"


@pytest.fixture
def waybill(tmp_path_factory):
    where = make_scratch(tmp_path_factory, "again", 2 << 30)
    yield Waybill(where / "data")
    shutil.rmtree(where)


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


# -- an end in time --

SLOW = {"model/weights.bin": 800 * MIB}  # sparse: long enough to be interfered with


def started(waybill, *arguments):
    """A running import that has begun to copy."""
    process = waybill.start("import", *arguments, "--name", "m", "--json")
    while json.loads(process.stdout.readline())["reason"] != "ModelSizeCalculated":
        pass
    return process


@pytest.fixture
def stopped(ready, package):
    """An import that was stopped in its copy by SIGSTOP, and ends in time: 1 s."""
    process = started(ready, package(SLOW), "--timeout", "1s")
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()


def test_import_that_takes_too_long_is_handed_back(ready, stopped):
    time.sleep(1.1)
    stopped.send_signal(signal.SIGCONT)
    status, _, stderr = finish(stopped)
    assert status == 1, stderr
    assert stderr == ("waybill: m:0.0.1 has not ended within 1 s and was handed back; go on: "
                      "waybill retry m:0.0.1\n")
    assert models(ready)[0]["model_status"] == "publishing"
    assert os.listdir(ready.data / "images/tmp") == []
    ready.run("retry", "m", "--timeout", "1h", check=True)
    assert [name for name in attempt(ready, 1) if name != "ImportResumed"] == SOUND
    assert_store(ready)


@pytest.mark.parametrize("command", ["import", "retry", "wait"])
@pytest.mark.parametrize("timeout", ["", "5x", "-1", "1.5h", "30m1h"])
def test_timeout_that_is_no_duration_is_refused(ready, package, command, timeout):
    what = package() if command == "import" else "m"
    refused = ready.run(command, what, "--timeout", timeout)
    assert refused.returncode == 2 and "such as 90s, 5m or 1h" in refused.stderr, str(refused)
    assert models(ready) == []


def test_timeout_in_larger_units(ready, package):
    ready.run("import", package(), "--name", "m", "--timeout", "1h30m", check=True)
    assert ready.run("wait", "m", "--timeout", "5m", check=True).stdout == "m:0.0.1 published\n"
    assert ready.run("import", package(), "--timeout", "0").returncode == 2


# -- tries by itself --

@pytest.fixture
def gone(ready, package, tmp_path):
    """A failed model whose package is away, which is retryable, and a function that brings it back."""
    source, away = package(config={"model_type": "Nonsense"}), tmp_path / "away"
    assert ready.run("import", source, "--name", "m").returncode == 1
    (source / "model/config.json").write_text('{"model_algorithm": "t", "model_type": "Custom"}')
    source.rename(away)
    return ready, lambda: away.rename(source)


def test_retries_go_on_until_it_works(gone):
    waybill, bring_back = gone
    process = waybill.start("retry", "m", "--retries", "5", "--json")
    said = process.stderr.readline()
    assert "attempt 2 of m:0.0.1 failed (ModelFilesCopyFailed)" in said and "retry 1 of 5 in" in said
    bring_back()
    status, stdout, stderr = finish(process)
    assert (status, stderr) == (0, "")
    assert [json.loads(line) for line in stdout.splitlines()] == \
        [event for event in timeline(waybill) if event["attempt"] > 1]
    assert attempt(waybill, 2) == ["ImportStarted", "ModelFilesCopyFailed", "ImportFailed"]
    assert attempt(waybill, 3) == SOUND


def test_retries_end_with_their_number(gone):
    waybill, _ = gone
    began = time.monotonic()
    failed = waybill.run("retry", "m", "--retries", "2")
    assert failed.returncode == 1 and failed.stderr.count("may simply be tried again") == 2
    assert time.monotonic() - began >= 0.5 + 1, "the second wait is at least as long as the first"
    assert models(waybill)[0]["attempt"] == 4


def test_what_is_wrong_with_the_package_is_not_tried_again(ready, package):
    failed = ready.run("import", package(config={"model_type": "Nonsense"}), "--name", "m",
                       "--retries", "3")
    assert (failed.returncode, failed.stderr) == (1, ""), str(failed)
    assert models(ready)[0]["attempt"] == 1


def test_cancelled_import_is_not_tried_again(ready, package):
    process = started(ready, package(SLOW), "--retries", "3")
    ready.run("cancel", "m", check=True)
    status, _, stderr = finish(process)
    assert (status, stderr) == (1, "")
    assert models(ready)[0]["attempt"] == 1


def test_import_whose_package_changes_meanwhile_is_tried_again(ready, package):
    source = package(SLOW)
    process = started(ready, source, "--retries", "1")
    process.send_signal(signal.SIGSTOP)
    os.truncate(source / "model/weights.bin", 1000)
    process.send_signal(signal.SIGCONT)
    status, _, stderr = finish(process)
    assert status == 0 and "retry 1 of 1" in stderr, stderr
    assert attempt(ready, 1)[-2:] == ["ModelFilesCopyFailed", "ImportFailed"]
    assert attempt(ready, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:]]


def test_ctrl_c_ends_the_wait(gone):
    waybill, _ = gone
    process = waybill.start("retry", "m", "--retries", "9")
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130 and stderr == "waybill: interrupted; try again: waybill retry m:0.0.1\n"
    assert models(waybill)[0]["model_status"] == "failed"


def test_timeout_ends_the_wait(gone):
    waybill, _ = gone
    failed = waybill.run("retry", "m", "--retries", "100", "--timeout", "2")
    assert failed.returncode == 1
    assert failed.stderr.endswith("waybill: m:0.0.1 was not imported within 2 s; try again: waybill "
                                  "retry m:0.0.1\n"), failed.stderr


def test_import_in_the_background_tries_again_too(ready, package):
    source = package(SLOW)
    ready.run("import", source, "--name", "m", "--detach", "--retries", "1", check=True)
    while "ModelSizeCalculated" not in event_names(timeline(ready)):
        time.sleep(0.01)
    os.truncate(source / "model/weights.bin", 1000)
    deadline = time.monotonic() + 60
    while models(ready)[0]["attempt"] == 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ready.run("wait", "m", "--timeout", "1m", check=True)
    assert attempt(ready, 2)[-1] == "ModelImported"


@pytest.mark.parametrize("retries", ["-1", "101", "many", ""])
def test_retries_that_are_no_number_are_refused(waybill, package, retries):
    refused = waybill.run("import", package(), "--retries", retries)
    assert refused.returncode == 2 and "retries" in refused.stderr, str(refused)


# -- no stage is repeated whose inputs are the same --

LARGE = 64 * MIB
SOUND_CONFIG = '{"model_algorithm": "test", "model_type": "Custom"}'
NO_SANDBOX = ["EnvImageBuildRequested", "EnvImageExplained", "BuildStartFailed",
              "ImageBuildStatus(failed)", "ImportFailed"]


def traced_retry(waybill, source, tmp_path, *arguments):
    """Exit status, and how much of each file of the package was read."""
    done, read = bytes_read(waybill, source, tmp_path / "trace", "retry", "m", *arguments)
    assert "model/config.json" in read, "the trace shows nothing of the package"
    return done.returncode, read


@pytest.fixture
def stuck(ready, package):
    """A model that failed in `environment`, after 64 MiB were packed that had been written the moment
    before: (Waybill, its package)."""
    source = package({"model/weights.bin": os.urandom(LARGE)}, config={
        "dependencies": [{"installer": "pip", "packages": [{"package_name": "numpy"}]}]})
    failed = ready.run("import", source, "--name", "m", "--json")
    assert event_names(failed.events) == [*SOUND[:3], *NO_SANDBOX], str(failed)
    return ready, source


def test_config_mended_before_anything_was_packed(ready, package, tmp_path):
    source = package({"model/weights.bin": os.urandom(LARGE)}, config={"model_type": "Nonsense"})
    failed, read = bytes_read(ready, source, tmp_path / "trace", "import", source, "--name", "m")
    assert failed.returncode == 1 and "model/weights.bin" not in read, "read in vain"
    (source / "model/config.json").write_text(SOUND_CONFIG)
    status, read = traced_retry(ready, source, tmp_path)
    assert status == 0 and read["model/weights.bin"] == LARGE
    assert attempt(ready, 2) == SOUND


def test_retry_of_what_is_unchanged_reads_and_packs_nothing(stuck, tmp_path):
    waybill, source = stuck
    before = state(waybill)[1]
    status, read = traced_retry(waybill, source, tmp_path)
    assert status == 1 and "model/weights.bin" not in read
    assert attempt(waybill, 2) == ["ImportStarted", *NO_SANDBOX]
    assert state(waybill)[1] == before


def test_retry_with_a_mended_config_reads_nothing_of_what_stayed(stuck, tmp_path):
    """However young the file is."""
    waybill, source = stuck
    before = {blob: blob.stat().st_mtime_ns for blob in waybill.data.glob("images/blobs/*/*")}
    (source / "model/config.json").write_text(SOUND_CONFIG)
    status, read = traced_retry(waybill, source, tmp_path)
    assert status == 0 and "model/weights.bin" not in read
    assert attempt(waybill, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:]]
    [copied] = [event for event in timeline(waybill) if event["reason"] == "ModelFilesImported"
                and event["attempt"] == 2]
    assert copied["evidence"]["reused_bytes"] == LARGE
    assert all(blob.stat().st_mtime_ns == time for blob, time in before.items())
    new = [blob for blob in waybill.data.glob("images/blobs/*/*") if blob not in before]
    assert sum(blob.stat().st_size for blob in new) < MIB
    assert_store(waybill)


def test_retry_goes_on_from_the_last_attempt_that_got_that_far(stuck, tmp_path):
    """An attempt in between that broke the config."""
    waybill, source = stuck
    (source / "model/config.json").rename(tmp_path / "moved")
    assert waybill.run("retry", "m").returncode == 1
    assert attempt(waybill, 2) == ["ImportStarted", "ConfigValueInvalid", "ImportFailed"]
    (source / "model/config.json").write_text(SOUND_CONFIG)
    status, read = traced_retry(waybill, source, tmp_path)
    assert status == 0 and "model/weights.bin" not in read
    assert attempt(waybill, 3) == ["ImportStarted", "SourceChanged", *SOUND[1:]]
    [changed] = [event for event in timeline(waybill) if event["reason"] == "SourceChanged"]
    assert changed["params"]["attempt"] == "1"


def test_file_that_changed_is_read_whatever_its_size_and_mtime_say(stuck, tmp_path):
    waybill, source = stuck
    write_at(source / "model/weights.bin", 5, b"other")
    (source / "model/config.json").write_text(SOUND_CONFIG)
    status, read = traced_retry(waybill, source, tmp_path)
    assert status == 0 and read["model/weights.bin"] == LARGE


def test_layers_of_a_cancelled_copy_count_in_the_next_attempt(ready, package, tmp_path):
    source = package({"model/first.bin": LARGE, "model/second.bin": 800 * MIB})
    process = started(ready, source)
    while not any(blob.stat().st_size > LARGE for blob in ready.data.glob("images/blobs/*/*")):
        assert process.poll() is None
        time.sleep(0.005)
    ready.run("cancel", "m", check=True)
    assert finish(process)[0] == 1
    status, read = traced_retry(ready, source, tmp_path)
    assert status == 0 and "model/first.bin" not in read and "model/second.bin" in read
    assert attempt(ready, 2) == ["ImportStarted", *SOUND[2:]]
    assert_store(ready)


def test_layers_that_gc_took_are_packed_again(stuck):
    """Those of the attempt before the newest are not kept."""
    waybill, source = stuck
    config = source / "model/config.json"
    config.rename(source / "elsewhere")
    assert waybill.run("retry", "m").returncode == 1
    waybill.run("gc", check=True)
    (source / "elsewhere").rename(config)
    config.write_text(SOUND_CONFIG)
    waybill.run("retry", "m", check=True)
    assert_store(waybill)


# -- where to begin --

@pytest.mark.parametrize("stage, names", [
    ("check", ["ModelSizeCalculated", "ModelFilesImported"]), ("copy", ["ModelFilesImported"]),
    ("environment", []),
])
def test_retry_begins_at_a_stage(stuck, stage, names):
    waybill, _ = stuck
    assert waybill.run("retry", "m", "--from", stage).returncode == 1
    assert attempt(waybill, 2) == ["ImportStarted", *names, *NO_SANDBOX]
    waybill.run("retry", "m")
    assert attempt(waybill, 3) == ["ImportStarted", *NO_SANDBOX], "it is forgotten by then"


@pytest.mark.parametrize("stage, words", [
    ("build", ["did not get past environment", "check, copy, environment\n"]),
    ("finish", ["check, copy, environment, build\n"]),
    ("sources", ["--from sources", "check, copy, environment, build\n"]),
])
def test_stage_that_cannot_be_begun_at_is_refused(stuck, stage, words):
    waybill, _ = stuck
    before = state(waybill)
    refused = waybill.run("retry", "m", "--from", stage, "--json")
    assert (refused.returncode, refused.stdout) == (2, ""), str(refused)
    assert all(word in refused.stderr for word in words), str(refused)
    assert state(waybill) == before


def test_stage_to_begin_at_leaves_out_nothing_that_changed(stuck):
    waybill, source = stuck
    (source / "model/more.txt").write_text("more")
    waybill.run("retry", "m", "--from", "environment")
    assert attempt(waybill, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:3], *NO_SANDBOX]


def test_interrupted_attempt_ends_when_another_beginning_is_asked_for(ready, package):
    process = started(ready, package(SLOW))
    process.kill()
    finish(process)
    ready.run("retry", "m", "--from", "copy", check=True)
    assert attempt(ready, 1)[-2:] == ["ImportCancelled", "ImportFailed"]
    assert attempt(ready, 2) == ["ImportStarted", *SOUND[2:]]


def test_retry_of_a_custom_image_says_its_size_once(ready, tmp_path):
    make_base(tmp_path / "image")
    [layer] = [blob for blob in (tmp_path / "image/blobs/sha256").iterdir()
               if b"etc/passwd" in blob.read_bytes()]
    layer.rename(tmp_path / "layer")
    failed = ready.run("import", f"oci:{tmp_path}/image:latest", "--type", "Image", "--name", "m")
    assert failed.returncode == 1
    assert attempt(ready, 1) == ["ImportStarted", "SourceImageSizeCalculated", "SourceImageNotFound",
                                 "ImportFailed"]
    assert ready.run("retry", "m", "--from", "copy").stderr.endswith("check, size, source\n")
    assert ready.run("retry", "m", "--from", "size").returncode == 1
    assert attempt(ready, 2) == attempt(ready, 1)
    (tmp_path / "layer").rename(layer)
    ready.run("retry", "m", check=True)
    assert attempt(ready, 3) == ["ImportStarted", "SourceImageShared", "ModelImported"]
