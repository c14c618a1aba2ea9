"""What the disk and the package's own files refuse: a full data directory, files that cannot be read,
files that change while they are read. Each ends in the event that says so, leaves nothing half
stored, and a retry succeeds once the cause is gone."""
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from conftest import PROGRAM, Waybill, finish, write_package
from corpus_runner import assert_answered
from oci_layout import image_blobs, make_base
from wholeness import (assert_blobs_whole, assert_store, assert_timeline, blobs_of, event_names,
                       index_of)

MIB = 1 << 20
RESERVE = MIB
CONFIG = {"model_algorithm": "test", "model_type": "Custom"}


# -- a disk of a known size --

class SmallDisk:
    """A tmpfs, and what fills it."""

    def __init__(self, where):
        self.where = where
        self.filler = where / "filler"

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.where], check=True)

    def free(self):
        about = os.statvfs(self.where)
        return about.f_bavail * about.f_frsize

    def fill(self, leave=0):
        """Until only so many bytes (rounded to pages) are free."""
        with open(self.filler, "ab") as file:
            size = max(self.free() - leave, 0) // 4096 * 4096
            if size:
                os.posix_fallocate(file.fileno(), os.path.getsize(self.filler), size)

    def clear(self):
        self.filler.unlink(missing_ok=True)


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", where],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: " + mounted.stderr.strip())
    try:
        yield SmallDisk(where)
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.fixture
def on_disk(small_disk, base_layout):
    waybill = Waybill(small_disk.where / "data")
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill


def assert_ended_full(result, needed):
    """40 disk_full, then ImportFailed; exit status 1."""
    assert result.returncode == 1, str(result)
    problem, last = result.events[-2:]
    assert (problem["reason"], problem["kind"]) == ("ImageBuildSystemError", "disk_full"), str(result)
    assert last["reason"] == "ImportFailed" and last["cause"] == problem["seq"], str(result)
    evidence = problem["evidence"]
    assert evidence["volume"] == "data directory" and evidence["incident"], evidence
    assert evidence["free"] < evidence["needed"], evidence
    assert evidence["needed"] >= needed, evidence


def assert_nothing_half_stored(waybill):
    assert os.listdir(waybill.data / "images/tmp") == []
    assert_blobs_whole(waybill.data)
    assert set(index_of(waybill.data)) == {"runtime/base"}


def assert_retry_succeeds(waybill, model, attempt=2):
    retried = waybill.run("retry", model, "--json")
    assert retried.returncode == 0, str(retried)
    events = waybill.run("events", model, "--json", check=True).events
    assert_timeline(events)
    assert events[-1]["reason"] == "ModelImported" and events[-1]["attempt"] == attempt
    assert_store(waybill)
    return events


def test_import_that_does_not_fit_says_how_much_is_free_and_needed(small_disk, on_disk, package):
    source = package({"model/weights.bin": os.urandom(20 * MIB)})
    failed = on_disk.run("import", source, "--name", "m", "--json")
    assert_ended_full(failed, 20 * MIB)
    assert_answered(on_disk, failed.events[-2])
    assert failed.events[-2]["stage"] == "copy"
    assert failed.events[-2]["evidence"]["free"] > 10 * MIB, "what was written of it is gone again"
    assert_nothing_half_stored(on_disk)
    again = on_disk.run("retry", "m", "--json")
    assert_ended_full(again, 20 * MIB)

    small_disk.resize("40m")
    events = assert_retry_succeeds(on_disk, "m", attempt=3)
    assert event_names(events).count("ModelSizeCalculated") == 1, "the package did not change"


def test_layers_that_fitted_are_kept_for_the_retry(small_disk, on_disk, package):
    source = package({"model/a.bin": 66 * MIB, "model/b.bin": 66 * MIB + 1})
    small_disk.resize("100m")
    failed = on_disk.run("import", source, "--name", "m", "--json")
    assert_ended_full(failed, 66 * MIB)
    assert failed.events[-2]["evidence"]["needed"] < 70 * MIB, "the first layer is there already"
    assert_nothing_half_stored(on_disk)
    [kept] = [path for path in blobs_of(on_disk.data).iterdir() if path.stat().st_size > 60 * MIB]
    inode = kept.stat().st_ino
    small_disk.resize("200m")
    assert_retry_succeeds(on_disk, "m")
    assert kept.stat().st_ino == inode


def test_disk_that_is_full_before_the_import(small_disk, on_disk, package):
    """With 0 bytes free: the reserve is given up, its events are written."""
    source = package()
    assert (on_disk.data / "reserve").stat().st_size == RESERVE
    small_disk.fill()
    assert small_disk.free() == 0
    failed = on_disk.run("import", source, "--name", "m", "--json")
    assert_ended_full(failed, RESERVE)
    assert event_names(failed.events)[0] == "ImportStarted"
    assert not (on_disk.data / "reserve").exists()
    assert_nothing_half_stored(on_disk)
    # What helps to make room works meanwhile.
    assert on_disk.run("events", "m", "--json", check=True).stdout == failed.stdout
    on_disk.run("models", check=True)
    small_disk.clear()
    assert_retry_succeeds(on_disk, "m")
    assert (on_disk.data / "reserve").stat().st_size == RESERVE


def test_delete_makes_room_on_a_full_disk(small_disk, on_disk, package):
    on_disk.run("import", package({"model/weights.bin": os.urandom(4 * MIB)}), "--name", "m", check=True)
    small_disk.fill()
    on_disk.run("delete", "m", check=True)
    assert set(index_of(on_disk.data)) == {"runtime/base"}
    on_disk.run("gc", check=True)
    assert small_disk.free() > 3 * MIB


def test_store_that_is_full_and_has_no_reserve_says_so(small_disk, on_disk, package):
    """Nothing can be written: no event, no model, exit status 3, and no damage."""
    (on_disk.data / "reserve").unlink()
    small_disk.fill()
    failed = on_disk.run("import", package(), "--name", "m", "--json")
    assert failed.returncode == 3 and failed.stdout == "", str(failed)
    assert "the disk is full" in failed.stderr
    small_disk.clear()
    assert on_disk.run("models", "--json", check=True).stdout == ""
    on_disk.run("import", package(), "--name", "m", check=True)
    assert_store(on_disk)


def test_every_amount_of_room_gives_an_image_or_the_event(small_disk, on_disk, package):
    """From nothing to enough: the disk is full at another step each time."""
    source = package({"model/weights.bin": os.urandom(MIB)})
    outcomes = []
    small_disk.resize("96m")
    for number, leave in enumerate(range(0, 3 * MIB, 48 << 10)):
        name = f"m{number}"
        # Each its own content: a known layer needs no room.
        (source / "model/weights.bin").write_bytes(os.urandom(MIB))
        small_disk.fill(leave)
        done = on_disk.run("import", source, "--name", name, "--json")
        small_disk.clear()
        said = "with %d bytes free: %s" % (leave, done)
        assert done.returncode in (0, 1), said
        assert_timeline(done.events)
        outcomes.append(done.returncode)
        if done.returncode == 1:
            assert_ended_full(done, 1)
            assert os.listdir(on_disk.data / "images/tmp") == [], said
            on_disk.run("retry", name, check=True)
        events = on_disk.run("events", name, "--json", check=True).events
        assert events[:len(done.events)] == done.events, said
        assert_timeline(events)
        assert events[-1]["reason"] == "ModelImported", said
    assert outcomes == sorted(outcomes, reverse=True), "more room must not be worse: %s" % outcomes
    assert outcomes[0] == 1 and outcomes[-1] == 0
    assert_store(on_disk)


def test_copy_of_a_custom_image_that_does_not_fit(small_disk, on_disk, tmp_path):
    from oci_layout import entry, write_layout
    write_layout(tmp_path / "big", [entry("model.bin", os.urandom(20 * MIB), mode=0o644)],
                 {"Cmd": ["sh"], "ExposedPorts": {"8080/tcp": {}}})
    failed = on_disk.run("import", f"oci:{tmp_path}/big:latest", "--type", "Image", "--name", "m", "--json")
    assert_ended_full(failed, 20 * MIB)
    assert_nothing_half_stored(on_disk)
    small_disk.resize("40m")
    assert_retry_succeeds(on_disk, "m")


# -- files that cannot be read --

@pytest.fixture
def nobody(base_layout):
    """Waybill as a user whom permissions bind, in a folder that belongs to it."""
    where = Path(tempfile.mkdtemp(prefix="waybill-nobody-", dir="/tmp"))
    prefix = []
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            os.chown(where, user.pw_uid, user.pw_gid)
        shutil.copytree(base_layout, where / "base")
        wrapper = where / "waybill"
        wrapper.write_text("#!/bin/sh\nexec %s %s \"$@\"\n" % (" ".join(prefix), PROGRAM))
        wrapper.chmod(0o755)
        waybill = Waybill(where / "data")
        waybill.program = str(wrapper)
        tried = waybill.run("runtime", "add", "base", "--image", f"oci:{where}/base:latest")
        if tried.returncode != 0:
            pytest.skip("the program cannot be run as another user here: " + tried.stderr)
        yield waybill, where
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", where])
        shutil.rmtree(where)


def give_to_nobody(source):
    if os.geteuid() == 0:
        for entry in [source, *source.rglob("*")]:
            os.chown(entry, pwd.getpwnam("nobody").pw_uid, -1)


def assert_unreadable(events, path, stage):
    problem = events[-2]
    assert (problem["reason"], problem["kind"], problem["stage"]) == \
        ("ModelFilesCopyFailed", "unreadable", stage), problem
    assert problem["evidence"]["path"] == path and problem["evidence"]["error"], problem


@pytest.mark.parametrize("path, mended", [
    ("model/weights.bin", 0o644), ("model/config.json", 0o644), ("model/sub", 0o755)])
def test_unreadable_entry_and_retry_after_chmod(nobody, path, mended):
    waybill, where = nobody
    source = write_package(where / "package", {
        "model/config.json": CONFIG, "model/weights.bin": "weights", "model/sub/more": "more"})
    os.chmod(source / path, 0)
    give_to_nobody(source)
    failed = waybill.run("import", source, "--name", "m", "--json")
    assert failed.returncode == 1, str(failed)
    assert_unreadable(failed.events, path, "check")
    assert_nothing_half_stored(waybill)
    os.chmod(source / path, mended)
    assert_retry_succeeds(waybill, "m")


def test_file_that_becomes_unreadable_after_it_was_listed(nobody):
    """Its turn comes after a file that takes a while."""
    waybill, where = nobody
    source = write_package(where / "package", {
        "model/config.json": CONFIG, "model/a.bin": 512 * MIB, "model/z.bin": 64 * MIB})
    give_to_nobody(source)
    process = waybill.start("import", source, "--name", "m", "--json")
    lines = [process.stdout.readline() for _ in range(2)]
    assert "ModelSizeCalculated" in lines[1], lines
    os.chmod(source / "model/z.bin", 0)
    status, stdout, stderr = finish(process)
    assert status == 1, stdout + stderr
    assert_unreadable(waybill.run("events", "m", "--json").events, "model/z.bin", "copy")
    assert_nothing_half_stored(waybill)
    os.chmod(source / "model/z.bin", 0o644)
    assert_retry_succeeds(waybill, "m")


def test_image_whose_layer_cannot_be_read(nobody):
    waybill, where = nobody
    make_base(where / "image")
    give_to_nobody(where / "image")
    layer = image_blobs(where / "image")["layer"]
    os.chmod(layer, 0)
    failed = waybill.run("import", f"oci:{where}/image:latest", "--type", "Image", "--name", "m",
                         "--json")
    problem = failed.events[-2]
    assert (problem["reason"], problem["kind"], problem["stage"]) == \
        ("SourceImageShareFailed", "broken", "source"), problem
    assert problem["evidence"]["digest"].endswith(os.path.basename(layer))
    assert_answered(waybill, problem)
    assert_nothing_half_stored(waybill)
    os.chmod(layer, 0o644)
    assert_retry_succeeds(waybill, "m")


# -- files that change --

def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(b"other")


def shorten(path):
    os.truncate(path, 1000)


def replace(path):
    other = path.with_name("other")
    other.write_bytes(b"another file")
    os.replace(other, path)


@pytest.mark.parametrize("change", [append, rewrite, shorten, replace])
def test_file_that_changes_while_it_is_read(ready, package, change):
    """The change comes between the listing and the end of the read, which a GiB makes long."""
    source = package({"model/weights.bin": 1 << 30})
    process = ready.start("import", source, "--name", "m", "--json")
    lines = [process.stdout.readline() for _ in range(2)]
    assert "ModelSizeCalculated" in lines[1], lines
    change(source / "model/weights.bin")
    status, stdout, stderr = finish(process)
    assert status == 1, stdout + stderr
    failed = ready.run("events", "m", "--json", check=True).events
    problem = failed[-2]
    assert (problem["reason"], problem["kind"], problem["stage"]) == \
        ("ModelFilesCopyFailed", "changed", "copy"), problem
    assert problem["evidence"]["path"] == "model/weights.bin"
    assert problem["evidence"]["before"] != problem["evidence"]["after"], problem
    assert_answered(ready, problem)
    assert_nothing_half_stored(ready)

    (source / "model/weights.bin").write_bytes(b"training has ended")
    events = assert_retry_succeeds(ready, "m")
    assert "SourceChanged" in event_names(events)


def test_file_that_grows_all_the_time(ready, package):
    """A training that still writes: whatever the moment, the import ends with the event, or with an
    image of one moment's bytes; never with a torn one."""
    source = package({"model/log.bin": 200 * MIB})
    ended = threading.Event()

    def write():
        while not ended.wait(0.001):
            append(source / "model/log.bin")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = ready.run("import", source, "--name", "m", "--json")
    finally:
        ended.set()
        writer.join()
    assert done.returncode == 1, str(done)
    assert (done.events[-2]["reason"], done.events[-2]["kind"]) == ("ModelFilesCopyFailed", "changed")
    assert_nothing_half_stored(ready)
    assert_retry_succeeds(ready, "m")
