"""SIGKILL at any point of an import, on the real program. Whatever the point, the timeline that
`waybill retry` (or the same import again, where the model was not recorded yet) completes is whole:
no event lost, none doubled, no half blob, nothing left over.

Points are chosen in three ways: at each event, as soon as its line comes through the pipe; at system
calls that write, by strace; and at random times while large files are copied. A random choice is
printed with its seed's number when it fails.

  WAYBILL_TEST_POINTS=200   how many, together
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from attempts import SOUND
from conftest import Waybill, finish, make_scratch, write_package
from wholeness import assert_store, assert_timeline, event_names, index_of

POINTS = int(os.environ.get("WAYBILL_TEST_POINTS", "200"))
SEED = 20231
# What a crash can tear: writes, their order on the disk, names.
DURABLE_CALLS = "pwrite64,write,fsync,fdatasync,renameat,renameat2,unlink,unlinkat,ftruncate,openat"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    where = make_scratch(tmp_path_factory, "kill", 3 << 30)
    yield where
    shutil.rmtree(where)


@pytest.fixture(scope="module")
def prepared(scratch, base_layout):
    """A data directory with the runtime `base`, to be copied."""
    waybill = Waybill(scratch / "prepared")
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill.data


@pytest.fixture
def fresh(scratch, prepared):
    """Makes a data directory of its own for each point; at most one is kept at a time."""
    where = scratch / "data"

    def make():
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(prepared, where)
        return Waybill(where)
    yield make
    shutil.rmtree(where, ignore_errors=True)


CONFIG = {"model_algorithm": "test", "model_type": "Custom"}


@pytest.fixture(scope="module")
def small(scratch):
    return write_package(scratch / "small", {
        "model/config.json": CONFIG, "model/weights.bin": "weights" * 1000,
        **{f"model/part{i}/data.txt": f"part {i}" for i in range(5)}})


@pytest.fixture(scope="module")
def large(scratch):
    """Two files with a layer of their own, and 50 MiB in small ones: 180 MiB."""
    noise = random.Random(SEED)
    where = write_package(scratch / "large", {
        "model/config.json": CONFIG,
        "model/a.bin": noise.randbytes(65 << 20), "model/z.bin": noise.randbytes(65 << 20),
        **{f"model/part{i:02}.bin": noise.randbytes(1 << 20) for i in range(50)}})
    yield where
    shutil.rmtree(where)


def kill(process):
    process.kill()
    process.stdout.close()
    process.stderr.close()
    process.wait()


def start_import(waybill, package, command=()):
    return subprocess.Popen([*command, waybill.program, "import", str(package), "--name", "m", "--json"],
                            env=waybill.environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_lines(process, count):
    """So many events; fewer where the process ends before."""
    events = []
    while len(events) < count:
        line = process.stdout.readline()
        if not line:
            break
        events.append(json.loads(line))
    return events


def timeline(waybill):
    return waybill.run("events", "m", "--json", check=True).events


def recover(waybill, arguments, seen, limit=10):
    """Ends what was killed; begins it, when nothing was recorded. Returns the whole timeline."""
    began = time.monotonic()
    done = waybill.run("retry", "m")
    recorded = "no model" not in done.stderr
    if not recorded:
        assert not seen, "an event was printed, but the model is not recorded: " + str(done)
        done = waybill.run(*arguments)
    took = time.monotonic() - began
    assert done.returncode == 0, str(done)
    assert took < limit, "it took %.1f s: something waits for a clock\n%s" % (took, done)
    events = timeline(waybill)
    assert events[:len(seen)] == seen, "an event that was printed is not in the timeline"
    return events


def assert_recovered(waybill, package, seen, limit=10):
    events = recover(waybill, ["import", package, "--name", "m"], seen, limit)
    assert_timeline(events)
    assert [name for name in event_names(events) if name != "ImportResumed"] == SOUND
    assert {event["attempt"] for event in events} == {1}
    assert_store(waybill)
    assert list(index_of(waybill.data)) == ["default/m:0.0.1", "runtime/base"]
    return events


class Point:
    """Says where it failed."""

    def __init__(self, *words):
        self.words = words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind and issubclass(kind, Exception):
            print("killed", *self.words, "(seed %d)" % SEED)


def test_killed_at_every_event(fresh, small):
    """At once, and a moment later: the moments are those in which the next step begins."""
    rounds = max(POINTS // 5 // len(SOUND), 1)
    for number in range(rounds * len(SOUND)):
        count, pause = number % len(SOUND) + 1, 0.0015 * (number // len(SOUND))
        with Point("after event %d and %.4f s" % (count, pause)):
            waybill = fresh()
            process = start_import(waybill, small)
            seen = read_lines(process, count)
            time.sleep(pause)
            kill(process)
            assert len(seen) == count
            assert_recovered(waybill, small, seen)


def traced(waybill, options, arguments):
    """Runs the program under strace. LeakSanitizer cannot work under it."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    return subprocess.run(["strace", "-f", "-qq", *options, waybill.program, *map(str, arguments)],
                          env=waybill.environment | leaks, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def durable_calls(make, arguments, log):
    """[(name, n)]: every call of the main thread that writes, in the order of their names."""
    waybill = make()
    done = traced(waybill, ["-o", log, "-e", "trace=" + DURABLE_CALLS], arguments)
    if "ptrace" in done.stderr.lower():
        pytest.skip("strace cannot trace here: " + done.stderr)
    counts, first = {}, None
    for line in open(log, errors="replace"):
        match = re.match(r"(\d+) +(\w+)\(", line)
        first = first or (match and match[1])
        if match and match[1] == first:
            counts[match[2]] = counts.get(match[2], 0) + 1
    return [(name, n) for name, count in sorted(counts.items()) for n in range(1, count + 1)]


def kill_at_calls(make, arguments, points, log, check):
    """Kills the command at the entry of so many of its calls, spread over all; then check(waybill,
    what it printed)."""
    calls = durable_calls(make, arguments, log)
    assert len(calls) > 40, calls
    wanted = min(max(points, 1), len(calls))
    killed = 0
    for name, n in (calls[i * len(calls) // wanted] for i in range(wanted)):
        with Point("at call %d of %s" % (n, name)):
            waybill = make()
            done = traced(waybill, ["-o", "/dev/null", "-e", "trace=" + name,
                                    "-e", "inject=%s:signal=SIGKILL:when=%d" % (name, n)], arguments)
            killed += done.returncode != 0
            check(waybill, [json.loads(line) for line in done.stdout.splitlines()
                            if line.startswith("{")])
    assert killed >= 0.9 * wanted, "only %d of %d were killed" % (killed, wanted)


def test_killed_at_system_calls_that_write(fresh, small, scratch):
    kill_at_calls(fresh, ["import", small, "--name", "m", "--json"], POINTS // 2, scratch / "trace",
                  lambda waybill, seen: assert_recovered(waybill, small, seen))


def test_config_of_the_request_killed_at_system_calls_that_write(fresh, small, scratch):
    """Its layer is there once, whoever ends the import."""
    given = scratch / "given.json"
    given.write_text(json.dumps(CONFIG | {"model_algorithm": "given"}))
    arguments = ["import", small, "--name", "m", "--config", given, "--json"]

    def check(waybill, seen):
        assert_timeline(recover(waybill, arguments, seen))
        shown = json.loads(waybill.run("show", "m", "--json", check=True).stdout)
        assert [layer["files"] for layer in shown["layers"] if layer["origin"] == "model"] == [7, 1]
        assert_store(waybill)
    kill_at_calls(fresh, arguments, POINTS // 10, scratch / "trace", check)


def test_custom_image_killed_at_system_calls_that_write(fresh, base_layout, scratch):
    arguments = ["import", f"oci:{base_layout}:latest", "--type", "Image", "--name", "m", "--json"]

    def check(waybill, seen):
        events = recover(waybill, arguments, seen)
        assert_timeline(events)
        assert [name for name in event_names(events) if name != "ImportResumed"] == [
            "ImportStarted", "SourceImageSizeCalculated", "SourceImageShared", "ModelImported"]
        assert_store(waybill)
    kill_at_calls(fresh, arguments, POINTS // 10, scratch / "trace", check)


def test_failing_import_killed_at_system_calls_that_write(fresh, scratch):
    """Each attempt ends once: the killed one by its resume, or it had ended."""
    package = write_package(scratch / "broken", {
        "model/config.json": CONFIG | {"model_type": "TensorFlow"}, "model/weights.bin": "weights"})

    def check(waybill, seen):
        waybill.run("import", package, "--name", "m")
        events = timeline(waybill)
        assert events[:len(seen)] == seen
        assert_timeline(events)
        assert events[-1]["attempt"] <= 2 and events[-1]["reason"] == "ImportFailed"
        assert_store(waybill)
    kill_at_calls(fresh, ["import", package, "--name", "m", "--json"], POINTS // 10,
                  scratch / "trace", check)


def test_update_killed_at_system_calls_that_write(fresh, small, scratch):
    """All of the update was done, or nothing; its rebuild is resumed."""
    imported = fresh()
    imported.run("import", small, "--name", "m", check=True)
    numpy, none = scratch / "numpy.json", scratch / "none.json"
    numpy.write_text('[{"installer": "pip", "packages": [{"package_name": "numpy"}]}]')
    none.write_text("[]")
    imported.run("update", "m", "--dependencies", numpy)
    before = len(timeline(imported))
    template = scratch / "with-failed-rebuild"
    shutil.copytree(imported.data, template)

    def make():
        waybill = fresh()
        shutil.rmtree(waybill.data)
        shutil.copytree(template, waybill.data)
        return waybill

    arguments = ["update", "m", "--dependencies", none, "--description", "slim", "--json"]

    def check(waybill, seen):
        recorded = timeline(waybill)[before:]
        assert recorded[:len(seen)] == seen
        waybill.run(*(["retry", "m"] if recorded else arguments), check=True)
        events = timeline(waybill)
        assert_timeline(events)
        assert [name for name in event_names(events)[before:] if name != "ImportResumed"] == [
            "DescriptionUpdated", "DependenciesUpdated", "ImportStarted", *SOUND[3:]]
        assert_store(waybill)
    kill_at_calls(make, arguments, POINTS // 10, scratch / "trace", check)


def test_delete_and_gc_killed_at_system_calls_that_write(fresh, small, scratch):
    """The store is the truth: what was half removed is removed by the next one."""
    imported = fresh()
    imported.run("import", small, "--name", "m", check=True)
    template = scratch / "with-model"
    shutil.copytree(imported.data, template)

    def make():
        waybill = fresh()
        shutil.rmtree(waybill.data)
        shutil.copytree(template, waybill.data)
        return waybill

    def make_deleted():
        waybill = make()
        waybill.run("delete", "m", check=True)
        return waybill

    def check(waybill, _):
        if waybill.run("models", "--json").stdout:
            waybill.run("delete", "m", check=True)
        waybill.run("verify", check=True)
        waybill.run("runtime", "list", check=True)
        waybill.run("import", small, "--name", "m", check=True)
        assert_store(waybill)
        assert set(index_of(waybill.data)) == {"runtime/base", "default/m:0.0.1"}
    kill_at_calls(make, ["delete", "m"], POINTS // 20, scratch / "trace", check)
    kill_at_calls(make_deleted, ["gc"], POINTS // 20, scratch / "trace", check)


def measure(waybill, package):
    """Seconds until the copy begins, and until the import has ended."""
    began = time.monotonic()
    process = start_import(waybill, package)
    read_lines(process, 2)
    copying = time.monotonic() - began
    process.communicate()
    assert process.returncode == 0
    return copying, time.monotonic() - began


def test_killed_at_random_times_while_it_copies(fresh, large):
    """Those that come too late count too, but make the next ones earlier."""
    chance = random.Random(SEED)
    copying, whole = measure(fresh(), large)
    points = max(POINTS - POINTS // 5 - POINTS // 2, 1)
    late = 0
    for number in range(points):
        # A tenth of them before the first event, or about it.
        span = (0, copying) if number % 10 == 0 else (copying, max(whole, copying * 1.5))
        moment = chance.uniform(*span)
        with Point("point %d, after %.4f s of %.4f" % (number, moment, whole)):
            waybill = fresh()
            process = start_import(waybill, large)
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
            seen = read_lines(process, 100)
            kill(process)
            if len(seen) == len(SOUND):
                late, whole = late + 1, whole * 0.9
            events = assert_recovered(waybill, large, seen, limit=10 + 10 * whole)
            copied = [event for event in events if event["reason"] == "ModelFilesImported"]
            assert copied[0]["evidence"]["layers"] == 3
    assert late < points / 2 or points < 10, "%d of %d came after the end" % (late, points)


def test_retry_that_is_killed_too(fresh, large):
    """Each process gets a little further; the last one ends it, still in attempt 1."""
    chance = random.Random(SEED + 1)
    copying, whole = measure(fresh(), large)
    for number in range(max(POINTS // 40, 1)):
        moments = [chance.uniform(copying, whole * 0.9) for _ in range(3)]
        with Point("chain %d, after %s s" % (number, moments)):
            waybill = fresh()
            process = start_import(waybill, large)
            time.sleep(moments[0])
            kill(process)
            for moment in moments[1:]:
                process = waybill.start("retry", "m", "--json")
                time.sleep(moment)
                kill(process)
            assert_recovered(waybill, large, [], limit=10 + 10 * whole)


def test_layers_that_were_finished_count(fresh, large):
    """After the second event of a retry no byte of a finished layer is written again."""
    waybill = fresh()
    process = start_import(waybill, large)
    blobs = waybill.data / "images/blobs/sha256"
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 60 << 20 for path in blobs.iterdir()):
        assert time.monotonic() < deadline and process.poll() is None, "no large layer was finished"
        time.sleep(0.001)
    kill(process)
    before = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    assert_recovered(waybill, large, [])
    assert before.items() <= {path.name: path.stat().st_ino for path in blobs.iterdir()}.items()


def assert_all_imported(waybill, names):
    for name in names:
        events = waybill.run("events", name, "--json", check=True).events
        assert_timeline(events)
        assert event_names(events) == SOUND, name


def test_two_imports_of_the_same_new_package_at_once(fresh, small):
    """Each is a version of its own."""
    for _ in range(max(POINTS // 20, 2)):
        waybill = fresh()
        both = [waybill.start("import", small, "--name", "m", "--json") for _ in range(2)]
        for status, stdout, stderr in map(finish, both):
            assert status == 0, stdout + stderr
            assert event_names(map(json.loads, stdout.splitlines())) == SOUND
        versions = ["m:0.0.1", "m:0.0.2"]
        assert len(waybill.run("models", "--json").stdout.splitlines()) == 2
        assert_all_imported(waybill, versions)
        assert_store(waybill)
        assert set(index_of(waybill.data)) == {"runtime/base", *("default/" + v for v in versions)}


def test_imports_of_different_packages_under_one_name_at_once(fresh, scratch):
    """Nobody takes another's attempt for an interrupted one while it is between two workers: each is
    a version, and whoever is told that it was imported finds its own files there."""
    packages = [write_package(scratch / f"one{i}", {
        "model/config.json": CONFIG, "model/own.bin": f"package {i}"}) for i in range(4)]
    for _ in range(max(POINTS // 10, 4)):
        waybill = fresh()
        running = [waybill.start("import", package, "--name", "m", "--json") for package in packages]
        digests = set()
        for status, stdout, stderr in map(finish, running):
            assert status == 0, stdout + stderr
            events = [json.loads(line) for line in stdout.splitlines()]
            assert event_names(events) == SOUND
            digests.add(events[-1]["evidence"]["digest"])
        versions = [f"m:0.0.{i + 1}" for i in range(4)]
        assert_all_imported(waybill, versions)
        assert set(index_of(waybill.data).values()) >= digests and len(digests) == 4


def test_four_different_imports_at_once_beside_gc(fresh, scratch):
    packages = [write_package(scratch / f"four{i}", {
        "model/config.json": CONFIG, "model/own.bin": f"{i}" * (1 << 20),
        "model/same.bin": "same" * (1 << 20)}) for i in range(4)]
    for _ in range(max(POINTS // 20, 2)):
        waybill = fresh()
        running = [waybill.start("import", package, "--json") for package in packages]
        while any(process.poll() is None for process in running):
            waybill.run("gc", check=True)
        for status, stdout, stderr in map(finish, running):
            assert status == 0, stdout + stderr
            assert event_names(map(json.loads, stdout.splitlines())) == SOUND
        assert_all_imported(waybill, [package.name for package in packages])
        assert_store(waybill)
        assert len(index_of(waybill.data)) == 5


def test_killed_beside_others_in_the_same_data_directory(fresh, small, large):
    """An import that dies takes nothing from one that lives, and gc beside them neither."""
    waybill = fresh()
    lives = waybill.start("import", large, "--name", "lives", "--json")
    for _ in range(3):
        process = start_import(waybill, small)
        read_lines(process, 1)
        kill(process)
        waybill.run("gc", check=True)
    status, stdout, stderr = finish(lives)
    assert status == 0, stdout + stderr
    assert_all_imported(waybill, ["lives"])
    waybill.run("retry", "m", check=True)
    assert_store(waybill)
