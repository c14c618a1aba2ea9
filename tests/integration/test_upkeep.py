"""What keeps an installation well: gc, verify, backup, restore, doctor."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import Waybill
from oci_layout import damage


def blobs(waybill):
    return sorted(os.listdir(waybill.data / "images/blobs/sha256"))


def blob(waybill, digest):
    return waybill.data / "images/blobs" / digest.replace(":", "/")


def layers(waybill, model):
    """The model's layers, the base's first, as `show --json` lists them."""
    shown = json.loads(waybill.run("show", model, "--json", check=True).stdout)
    return shown["layers"]


def model_layer(waybill, model):
    return blob(waybill, layers(waybill, model)[-1]["digest"])


def flip(path):
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


def gc(waybill, *options):
    return json.loads(waybill.run("gc", "--json", *options, check=True).stdout)


def findings(waybill, *arguments):
    result = waybill.run("verify", "--json", *arguments)
    found = json.loads(result.stdout)["findings"]
    assert result.returncode == (1 if found else 0), str(result)
    return found


def checks(waybill, *options):
    result = waybill.run("doctor", "--json", *options)
    found = {check["id"]: check for check in map(json.loads, result.stdout.splitlines())}
    failed = any(check["status"] == "fail" for check in found.values())
    assert result.returncode == (1 if failed else 0), str(result)
    return found


def timeline(waybill, model):
    return waybill.run("events", model, "--json", check=True).stdout


def start_import(waybill, source, name):
    """An import that runs, its model being recorded."""
    running = waybill.start("import", source, "--name", name)
    while running.poll() is None and not waybill.run("events", name, "--json").stdout:
        pass
    return running


def interrupt_import(waybill, source, name):
    running = start_import(waybill, source, name)
    running.send_signal(signal.SIGKILL)
    running.communicate()


# -- gc --

def test_gc_keeps_what_is_needed_and_removes_what_a_deleted_model_left(ready, package):
    ready.run("import", package(name="a"), "--name", "a", check=True)
    ready.run("import", package({"model/weights.bin": "others"}, name="b"), "--name", "b",
              check=True)
    before = blobs(ready)
    assert gc(ready)["blobs"] == 0
    assert blobs(ready) == before
    ready.run("delete", "b", check=True)
    assert blobs(ready) == before, "blobs go with gc"
    planned = gc(ready, "--dry-run")
    assert blobs(ready) == before
    done = gc(ready)
    assert (planned["blobs"], done["blobs"]) == (6, 6)  # layer, config, manifest, and what is said of them
    assert done["blob_bytes"] == planned["blob_bytes"] > 0
    assert done["kept_blobs"] == len(blobs(ready)) == len(before) - 6
    assert findings(ready) == []
    ready.run("import", package({"model/weights.bin": "others"}, name="b"), "--name", "b",
              check=True)
    assert findings(ready) == []


def test_gc_removes_left_overs_of_writers_that_are_gone(ready):
    images = ready.data / "images"
    (images / "tmp/0123456789abcdef").write_bytes(b"torn")
    (images / "index.json.1.00000000.tmp").write_bytes(b"{")
    (images / "blobs/sha256/stray").write_bytes(b"no digest")
    (ready.data / "waybill.db.restoring").write_bytes(b"torn")
    old = ready.data / "something.1.00000000.tmp"
    old.write_bytes(b"torn")
    os.utime(old, (1, 1))
    fresh = ready.data / "something.2.00000000.tmp"
    fresh.write_bytes(b"being written")
    done = gc(ready)
    assert (done["temporary_files"], done["blobs"]) == (4, 1)
    assert fresh.exists() and not old.exists()
    assert os.listdir(images / "tmp") == []
    assert (ready.data / "waybill.db").exists()


def test_gc_keeps_the_layers_of_a_failed_attempt_and_of_an_interrupted_one(ready, package):
    source = package({"model/weights.bin": 200 << 20})
    interrupt_import(ready, source, "m")
    gc(ready)
    assert findings(ready) == []
    ready.run("retry", "m", check=True)
    assert findings(ready) == []


def test_gc_stops_where_a_runtime_cannot_be_read(ready, base_layout):
    with open(base_layout / "index.json") as file:
        manifest = json.load(file)["manifests"][0]["digest"]
    blob(ready, manifest).unlink()
    before = blobs(ready)
    result = ready.run("gc")
    assert result.returncode == 3 and "nothing was removed: runtime base" in result.stderr
    assert blobs(ready) == before


def test_gc_never_breaks_an_import_that_runs_beside_it(ready, package, base_layout):
    """Packages, custom images and deletions on one side, gc without a pause on the other."""
    stop = threading.Event()
    runs = []

    def collect():
        while not stop.is_set():
            runs.append(ready.run("gc"))

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        end, count = time.monotonic() + 5, 0
        while time.monotonic() < end or count < 5:
            count += 1
            source = package({"model/weights.bin": "weights %d" % (count % 3)}, name="p")
            ready.run("import", source, "--name", "m%d" % count, check=True)
            ready.run("import", "oci:%s:latest" % base_layout, "--type", "Image", "--name",
                      "i%d" % count, check=True)
            if count % 2:
                ready.run("delete", "m%d" % count, check=True)
    finally:
        stop.set()
        collector.join()
    assert all(run.returncode == 0 for run in runs), str(runs[-1])
    assert len(runs) > 5
    assert findings(ready) == []
    gc(ready)
    assert findings(ready) == []


# -- verify --

def test_verify_names_damage_its_model_and_what_mends_it(ready, package):
    source = package({"model/weights.bin": "one"}, name="one")
    ready.run("import", source, "--name", "one", check=True)
    ready.run("import", package({"model/weights.bin": "two"}, name="two"), "--name", "two",
              check=True)
    assert findings(ready) == []
    layer = layers(ready, "one")[-1]
    flip(blob(ready, layer["digest"]))
    [found] = findings(ready)
    assert (found["reason"], found["kind"]) == ("ImageBuildSystemError", "store_lost")
    assert "seq" not in found
    evidence = found["evidence"]
    assert evidence["digest"] == evidence["expected"] == layer["digest"]
    assert evidence["found"].startswith("sha256:") and evidence["found"] != layer["digest"]
    assert (evidence["models"], evidence["runtimes"]) == (["one:0.0.1"], [])
    assert evidence["size"] == layer["size"]
    assert findings(ready, "two") == []
    assert len(findings(ready, "one")) == 1
    shown = ready.run("verify").stdout
    assert "one:0.0.1" in shown and "waybill delete one:0.0.1" in shown

    # What it says mends it does.
    for step in evidence["mend"]:
        assert step.startswith("waybill ")
        subprocess.run([ready.program, *step.split()[1:]], env=ready.environment,
                       stdout=subprocess.DEVNULL, check=False)
    assert findings(ready) == []
    assert layers(ready, "one")[-1]["digest"] == layer["digest"]


@pytest.mark.parametrize("how", ["missing", "flipped", "garbage"])
@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
def test_verify_finds_damage_of_a_runtime_and_adding_it_again_mends_it(ready, base_layout, which,
                                                                       how):
    images = ready.data / "images"
    damage(images, {which: how})
    found = findings(ready)
    assert [event["evidence"]["runtimes"] for event in found] == [["base"]]
    assert (found[0]["evidence"]["found"] == "missing") == (how == "missing")
    for step in found[0]["evidence"]["mend"]:
        subprocess.run([ready.program, *step.split()[1:]], env=ready.environment,
                       stdout=subprocess.DEVNULL, check=False)
    assert findings(ready) == []


def test_verify_finds_a_missing_manifest_and_config(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    shown = json.loads(ready.run("show", "m", "--json", check=True).stdout)
    manifest = blob(ready, shown["image_digest"])
    config = blob(ready, json.loads(manifest.read_text())["config"]["digest"])
    manifest.unlink()
    config.unlink()
    found = findings(ready)
    assert [event["evidence"]["found"] for event in found] == ["missing", "missing"]
    assert all(event["evidence"]["models"] == ["m:0.0.1"] for event in found)


def test_verify_of_no_model_is_a_failure(ready):
    result = ready.run("verify", "nobody")
    assert result.returncode == 1 and "nobody" in result.stderr


# -- backup, restore --

def test_backup_of_a_store_in_use_brings_everything_back(ready, package, tmp_path, waybill_at):
    ready.run("import", package({"model/weights.bin": "first"}), "--name", "first", check=True)
    running = ready.start("import", package({"model/weights.bin": 300 << 20}, name="large"),
                          "--name", "large")
    saved = json.loads(ready.run("backup", tmp_path / "backup", "--json", check=True).stdout)
    running.communicate()
    assert saved == json.loads((tmp_path / "backup/backup.json").read_text())
    assert sorted(os.listdir(tmp_path / "backup")) == ["backup.json", "images", "waybill.db"]
    assert not (tmp_path / "backup.partial").exists()

    other = waybill_at("other")
    restored = json.loads(other.run("restore", tmp_path / "backup", "--json", check=True).stdout)
    assert restored == saved
    assert findings(other) == []
    assert timeline(other, "first") == timeline(ready, "first")
    assert other.run("runtime", "list").stdout == ready.run("runtime", "list").stdout
    assert gc(other)["blobs"] == 0
    assert all(check["status"] != "fail" for check in checks(other).values())


def test_backup_is_a_layout_that_others_read(ready, package, tmp_path):
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed")
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("backup", tmp_path / "backup", check=True)
    shown = json.loads(ready.run("show", "m", "--json", check=True).stdout)
    inspected = subprocess.run(
        ["skopeo", "inspect", "oci:%s/images:default/m:0.0.1" % (tmp_path / "backup")],
        capture_output=True, text=True, check=True)
    assert json.loads(inspected.stdout)["Digest"] == shown["image_digest"]


def test_backup_leaves_a_taken_destination_alone(ready, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    result = ready.run("backup", taken)
    assert result.returncode == 2 and "not empty" in result.stderr
    (tmp_path / "file").write_text("mine")
    assert ready.run("backup", tmp_path / "file").returncode == 2
    assert ready.run("backup", tmp_path / "no/such/place").returncode == 2
    assert sorted(os.listdir(tmp_path)) == ["data", "file", "taken"]
    empty = tmp_path / "empty"
    empty.mkdir()
    ready.run("backup", empty, check=True)
    assert (empty / "backup.json").exists()


def test_backup_leaves_nothing_behind_when_it_fails_or_is_stopped(ready, package, tmp_path):
    ready.run("import", package({"model/weights.bin": 400 << 20}), "--name", "m", check=True)
    running = ready.start("backup", tmp_path / "backup")
    while running.poll() is None and not (tmp_path / "backup.partial/images").exists():
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    running.communicate()
    assert running.returncode == 130
    assert sorted(os.listdir(tmp_path)) == ["data", "package"]

    flip(model_layer(ready, "m"))
    result = ready.run("backup", tmp_path / "backup")
    assert result.returncode == 1 and "model m:0.0.1 is damaged" in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["data", "package"]


@pytest.fixture
def backed_up(ready, package, tmp_path):
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("backup", tmp_path / "backup", check=True)
    return tmp_path / "backup"


def has_settled(running):
    """Its second connection, which looks for a cancel, is open too: no lock is held for opening."""
    links = []
    for fd in os.listdir(f"/proc/{running.pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{running.pid}/fd/{fd}"))
    return (sum(link.endswith("/waybill.db") for link in links) == 2
            and sum(link.endswith("/lock") for link in links) == 1)


def test_restore_refuses_a_directory_in_use(ready, package, tmp_path):
    # Stopped while it copies: in the middle of a commit, what it wrote counts only once it is dead.
    running = start_import(ready, package({"model/weights.bin": 400 << 20}), "m")
    while "ModelSizeCalculated" not in timeline(ready, "m") or not has_settled(running):
        assert running.poll() is None
    running.send_signal(signal.SIGSTOP)
    assert "ModelFilesImported" not in timeline(ready, "m")
    try:
        ready.run("backup", tmp_path / "backup", check=True)
        result = ready.run("restore", tmp_path / "backup")
        assert result.returncode == 3 and "in use" in result.stderr
    finally:
        running.kill()
        running.communicate()
    ready.run("restore", tmp_path / "backup", check=True)


def test_restore_refuses_to_lose_events_and_says_how_many(ready, backed_up, package):
    ready.run("import", package(), "--name", "later", check=True)
    before = timeline(ready, "later")
    result = ready.run("restore", backed_up)
    assert result.returncode == 1
    assert "%d events would be lost" % len(before.splitlines()) in result.stderr
    assert timeline(ready, "later") == before
    assert findings(ready) == []
    assert not (ready.data / "waybill.db.restoring").exists()


@pytest.mark.parametrize("what", ["layer", "database", "no backup.json", "no database", "no blob"])
def test_restore_refuses_a_damaged_backup(waybill_at, backed_up, what):
    [largest] = sorted((backed_up / "images/blobs/sha256").iterdir(),
                       key=lambda path: path.stat().st_size)[-1:]
    if what == "layer":
        flip(largest)
    elif what == "database":
        flip(backed_up / "waybill.db")
    else:
        {"no backup.json": backed_up / "backup.json", "no database": backed_up / "waybill.db",
         "no blob": largest}[what].unlink()
    other = waybill_at("other")
    result = other.run("restore", backed_up)
    assert result.returncode == (2 if what == "no backup.json" else 1), str(result)
    assert "no backup" in result.stderr or "damaged" in result.stderr
    assert not (other.data / "waybill.db").exists()
    assert not (other.data / "waybill.db.restoring").exists()


def test_restore_mends_a_broken_store_and_its_blobs_and_keeps_the_old_one(ready, backed_up):
    before = timeline(ready, "m")
    flip(model_layer(ready, "m"))
    (ready.data / "waybill.db").write_bytes(b"this is no database" * 1000)
    for suffix in ("-wal", "-shm"):
        (ready.data / ("waybill.db" + suffix)).unlink(missing_ok=True)
    assert ready.run("events", "m").returncode == 3
    ready.run("restore", backed_up, check=True)
    assert timeline(ready, "m") == before
    assert findings(ready) == []
    assert (ready.data / "waybill.db.before-restore").read_bytes().startswith(b"this is no")


def test_restored_directory_goes_on_with_an_interrupted_import(ready, package, tmp_path,
                                                               waybill_at):
    interrupt_import(ready, package({"model/weights.bin": 200 << 20}), "m")
    ready.run("backup", tmp_path / "backup", check=True)
    other = waybill_at("other")
    other.run("restore", tmp_path / "backup", check=True)
    other.run("retry", "m", check=True)
    assert findings(other) == []


# -- doctor --

def test_doctor_finds_nothing_wrong_with_a_sound_directory(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    found = checks(ready)
    # Of environment images this machine may lack what it likes: test_environments.py.
    environments = {"sandbox-runtime", "sandbox-rootfs", "sandbox-limits", "package-sources",
                    "pip-index", "apt-mirror"}
    assert {check["status"] for name, check in found.items()
            if name not in environments} == {"ok"}
    assert {"data-directory", "free-space", "file-locks", "store", "images", "imports", "gc", "runtimes",
            "settings", "clock", "openat2", "inotify", "sha256", "bootstrap"} == \
        set(found) - environments
    assert all(check["found"] for check in found.values())
    chinese = ready.run("doctor", "--lang", "zh", check=True).stdout
    assert "正常" in chinese and "没有中断的导入" in chinese


def test_doctor_looks_at_a_directory_that_is_not_there(waybill):
    found = checks(waybill)
    assert found["data-directory"]["status"] == "warn"
    assert not waybill.data.exists(), "it makes nothing"


def test_doctor_says_what_is_broken(ready, waybill_at, tmp_path):
    (ready.data / "images/index.json").write_text("{}")
    assert checks(ready)["images"]["mend"] == "waybill gc"
    ready.run("gc", check=True)
    assert checks(ready)["images"]["status"] == "ok"
    (ready.data / "images/tmp/0123456789abcdef").write_bytes(b"torn")
    assert checks(ready)["images"]["status"] == "warn"
    (ready.data / "images/oci-layout").write_text("{}")
    assert checks(ready)["images"]["status"] == "fail"
    (ready.data / "waybill.db").write_bytes(b"this is no database" * 1000)
    found = checks(ready)
    assert found["store"]["status"] == "fail" and "restore" in found["store"]["mend"]
    (tmp_path / "file").write_text("no directory")
    assert checks(waybill_at("file"))["data-directory"]["status"] == "fail"


def test_doctor_names_interrupted_imports_and_a_missing_runtime(waybill, base_layout, package):
    waybill.run("import", package(), "--name", "without")
    assert "waybill runtime bootstrap" in checks(waybill)["runtimes"]["mend"]
    waybill.run("runtime", "add", "base", "--image", "oci:%s:latest" % base_layout, check=True)
    interrupt_import(waybill, package({"model/weights.bin": 200 << 20}, name="large"), "large")
    imports = checks(waybill)["imports"]
    assert imports["status"] == "warn"
    assert "large:0.0.1" in imports["found"] and imports["mend"] == "waybill retry large:0.0.1"
    waybill.run("retry", "large", check=True)
    assert checks(waybill)["imports"]["status"] == "ok"


def test_doctor_shows_settings_without_their_logins(waybill):
    env = {"WAYBILL_BUILD_PIP_INDEX_URL": "http://robot:hunter2secret@127.0.0.1:9/simple",
           "WAYBILL_BUILD_NETWORK": "none"}
    done = waybill.run("doctor", "--json", env=env)
    [row] = [row for row in done.events if row["id"] == "settings"]
    assert "build.pip_index_url = http://***@127.0.0.1:9/simple" in row["found"], row
    assert "hunter2secret" not in done.stdout
