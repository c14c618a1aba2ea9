"""Attempts: what retry, import again, cancel, delete and Ctrl-C do to a model's timeline, also from
several processes, and what happens when the store does not take a job."""
import json
import os
import random
import shutil
import signal
import sqlite3
import time

import pytest

from attempts import BUILT, SOUND, attempt, models, timeline
from conftest import Waybill, finish, make_scratch
from corpus_runner import assert_answered
from oci_layout import USERS, entry, write_layout
from tracing import large_files_read
from wholeness import assert_store, event_names, index_of

MIB = 1 << 20
SLOW = {"model/weights.bin": 400 * MIB}  # sparse: long enough to be interfered with


@pytest.fixture
def waybill(tmp_path_factory):
    where = make_scratch(tmp_path_factory, "attempts", 2 << 30)
    yield Waybill(where / "data")
    shutil.rmtree(where)


def start(waybill, package, seen=2):
    """A running import of a package that takes a while; the events that it showed."""
    process = waybill.start("import", package, "--name", "m", "--json")
    return process, [json.loads(process.stdout.readline()) for _ in range(seen)]


def end(process):
    status, stdout, stderr = finish(process)
    return status, [json.loads(line) for line in stdout.splitlines()], stderr


def interrupted(waybill, package):
    """An attempt whose process died while it copied."""
    process, _ = start(waybill, package)
    process.kill()
    end(process)


# -- the next attempt --

def test_mended_package_is_attempt_2_of_the_same_version(ready, package):
    source = package(config={"model_type": "Nonsense"})
    failed = ready.run("import", source, "--name", "m", "--json")
    assert failed.returncode == 1, str(failed)
    (source / "model/config.json").write_text('{"model_algorithm": "test", "model_type": "Custom"}')
    retried = ready.run("retry", "m", "--json", check=True)
    events = timeline(ready)
    assert events == failed.events + retried.events, "the timeline is appended to"
    assert attempt(ready, 1) == ["ImportStarted", "ConfigValueInvalid", "ImportFailed"]
    assert attempt(ready, 2) == SOUND
    [model] = models(ready)
    assert (model["model_version"], model["model_status"]) == ("0.0.1", "published")
    assert_store(ready)


def test_retry_with_another_source_config_or_child(ready, package, tmp_path):
    """What was wrong is given anew; it is the next attempt of the same version, and is remembered."""
    broken = package({"model/config.json": {"json": {"model_algorithm": "t", "model_type": "Nothing"}},
                      "model/model.bin": "x"})
    mended = tmp_path / "elsewhere"
    shutil.copytree(broken / "model", mended / "weights")
    config = tmp_path / "mine.json"
    config.write_text(json.dumps({"model_algorithm": "t", "model_type": "Custom"}))
    assert ready.run("import", broken, "--name", "m", "--json").returncode == 1
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"model_algorithm": "1", "model_type": "Custom"}')
    refused = ready.run("retry", "m", "--config", wrong, "--json")
    assert refused.returncode == 2 and not refused.stdout and "model_algorithm" in refused.stderr
    assert ready.run("retry", "m", tmp_path / "nowhere").returncode == 2
    assert len(models(ready)) == 1 and models(ready)[0]["attempt"] == 1
    again = ready.run("retry", "m", mended, "--json")
    assert again.returncode == 1
    assert [event["reason"] for event in again.events][1:] == ["ModelChildDirectoryMissing", "ImportFailed"]
    once_more = ready.run("retry", "m", "--child", "weights", "--config", config, "--json")
    assert once_more.returncode == 0, str(once_more)
    assert {event["attempt"] for event in once_more.events} == {3}
    assert models(ready)[0]["model_version"] == "0.0.1"
    assert ready.run("retry", "m", broken).returncode == 0  # imported: it says so and does nothing
    assert len(attempt(ready, 4)) == 0


def test_retry_that_fails_again_is_an_attempt_too(ready, package):
    ready.run("import", package(config={"model_type": "Nonsense"}), "--name", "m")
    for number in (2, 3):
        again = ready.run("retry", "m", "--json")
        assert again.returncode == 1, str(again)
        assert {event["attempt"] for event in again.events} == {number}
        assert again.events[-1]["cause"] == again.events[-2]["seq"]
    assert attempt(ready, 3) == ["ImportStarted", "ConfigValueInvalid", "ImportFailed"]


DEPENDENCIES = {"dependencies": [{"installer": "pip", "packages": [{"package_name": "numpy"}]}]}
NO_SANDBOX = ["EnvImageBuildRequested", "EnvImageExplained", "BuildStartFailed",
              "ImageBuildStatus(failed)", "ImportFailed"]


@pytest.fixture
def stuck(ready, package):
    """An attempt that failed in `environment`: (Waybill, its package)."""
    source = package({"model/weights.bin": b"weights" * MIB}, config=DEPENDENCIES)
    time.sleep(2.1)  # its digests are trusted from then on
    failed = ready.run("import", source, "--name", "m", "--json")
    assert failed.returncode == 1, str(failed)
    assert event_names(failed.events) == ["ImportStarted", "ModelSizeCalculated",
                                          "ModelFilesImported", *NO_SANDBOX]
    assert failed.events[-3]["kind"] == "no_sandbox"
    return ready, source


def test_retry_of_an_unchanged_package_goes_on_where_it_failed(stuck, tmp_path):
    waybill, source = stuck
    done, read = large_files_read(waybill, source, tmp_path / "trace", "retry", "m")
    assert done.returncode == 1, done.stderr
    assert not read, "no byte of the model is read"
    assert attempt(waybill, 2) == ["ImportStarted", *NO_SANDBOX]
    waybill.run("retry", "m")
    assert attempt(waybill, 3) == ["ImportStarted", *NO_SANDBOX], "also after a retry"


@pytest.mark.parametrize("change, count", [
    (lambda model: (model / "weights.bin").write_bytes(b"other"), 1),
    (lambda model: (model / "more.txt").write_text("more"), 1),
    (lambda model: (model / "weights.bin").rename(model / "renamed.bin"), None),
])
def test_retry_of_a_changed_package_says_so_and_begins_again(stuck, change, count):
    waybill, source = stuck
    change(source / "model")
    waybill.run("retry", "m")
    assert attempt(waybill, 2) == ["ImportStarted", "SourceChanged", "ModelSizeCalculated",
                                   "ModelFilesImported", *NO_SANDBOX]
    [changed] = [event for event in timeline(waybill) if event["reason"] == "SourceChanged"]
    assert (changed["params"]["attempt"], changed["params"]["stage"]) == ("1", "check")
    assert changed["stage"] == "check" and int(changed["params"]["n"]) >= 1
    assert count is None or changed["params"]["n"] == str(count)


def test_retry_with_a_mended_config_packs_only_what_changed(stuck):
    waybill, source = stuck
    (source / "model/config.json").write_text('{"model_algorithm": "test", "model_type": "Custom"}')
    waybill.run("retry", "m", check=True)
    assert attempt(waybill, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:]]
    assert_store(waybill)


def test_retry_of_an_imported_model_appends_nothing(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    before = timeline(ready)
    again = ready.run("retry", "m", "--json")
    assert (again.returncode, again.stdout) == (0, ""), str(again)
    assert "imported already" in again.stderr
    assert timeline(ready) == before


def test_import_of_a_failed_name_uses_its_version_again(ready, package):
    source = package(config={"model_type": "Nonsense"})
    ready.run("import", source, "--name", "m")
    (source / "model/config.json").write_text('{"model_algorithm": "test", "model_type": "Custom"}')
    ready.run("import", source, "--name", "m", "--description", "mended", check=True)
    [model] = models(ready)
    assert (model["model_version"], model["attempt"], model["description"]) == ("0.0.1", 2, "mended")
    assert attempt(ready, 2) == SOUND
    ready.run("import", source, "--name", "m", check=True)
    assert [model["model_version"] for model in models(ready)] == ["0.0.1", "0.0.2"]


def test_version_that_is_taken_is_refused(ready, package):
    source = package()
    ready.run("import", source, "--name", "m", "--version", "1.2.3", check=True)
    before = timeline(ready)
    (source / "model/weights.bin").write_text("other content")
    taken = ready.run("import", source, "--name", "m", "--version", "1.2.3", "--json")
    assert (taken.returncode, taken.stdout) == (2, ""), str(taken)
    assert "1.2.3" in taken.stderr and "taken" in taken.stderr
    assert timeline(ready) == before and len(models(ready)) == 1


# -- resume --

def test_import_in_the_same_words_resumes_what_was_interrupted(ready, package):
    source = package(SLOW)
    interrupted(ready, source)
    ready.run("import", source, "--name", "m", check=True)
    names = attempt(ready, 1)
    assert [name for name in names if name != "ImportResumed"] == SOUND
    assert [model["model_version"] for model in models(ready)] == ["0.0.1"]


def test_import_in_other_words_ends_what_was_interrupted(ready, package):
    source = package(SLOW)
    interrupted(ready, source)
    ready.run("import", source, "--name", "m", "--description", "other words", check=True)
    assert attempt(ready, 1)[-2:] == ["ImportCancelled", "ImportFailed"]
    assert attempt(ready, 2)[-1] == "ModelImported"
    assert [model["model_version"] for model in models(ready)] == ["0.0.1"]


def test_package_that_changed_while_nobody_worked_is_said(ready, package):
    """A resumed attempt packs what its check saw, or nothing."""
    source = package(SLOW)
    interrupted(ready, source)
    os.truncate(source / "model/weights.bin", 1000)
    resumed = ready.run("retry", "m")
    assert resumed.returncode == 1, str(resumed)
    problem = timeline(ready)[-2]
    assert (problem["reason"], problem["kind"]) == ("ModelFilesCopyFailed", "changed")
    ready.run("retry", "m", check=True)
    assert attempt(ready, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:]]


def test_ctrl_c_hands_the_job_back(ready, package):
    process, _ = start(ready, package(SLOW))
    process.send_signal(signal.SIGINT)
    status, _, stderr = end(process)
    assert status == 130, stderr
    assert "waybill retry m:0.0.1" in stderr
    assert models(ready)[0]["model_status"] == "publishing"
    assert os.listdir(ready.data / "images/tmp") == []
    ready.run("retry", "m:0.0.1", check=True)
    assert [name for name in attempt(ready, 1) if name != "ImportResumed"] == SOUND
    assert_store(ready)


def test_ctrl_c_at_any_moment(ready, package):
    """Before it listens to it, the signal kills; either way nothing is lost."""
    source, chance = package(), random.Random(7)
    for number in range(30):
        moment, name = chance.uniform(0, 0.03), f"m{number}"
        process = ready.start("import", source, "--name", name, "--json")
        time.sleep(moment)
        process.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM]))
        status, seen, stderr = end(process)
        assert status in (0, 130, -signal.SIGINT, -signal.SIGTERM), (moment, stderr)
        assert status != 130 or f"waybill retry {name}:0.0.1" in stderr, (moment, stderr)
        retried = ready.run("retry", name)
        if "no model" in retried.stderr:
            assert not seen and status < 0
            retried = ready.run("import", source, "--name", name)
        assert retried.returncode == 0, (moment, str(retried))
        assert timeline(ready, name)[:len(seen)] == seen
        assert [event for event in attempt(ready, 1, name) if event != "ImportResumed"] == SOUND
    assert_store(ready)


def test_ctrl_c_after_the_end(ready, package):
    """What listened to the signal is gone by then, or ends in peace: never a word into freed memory."""
    source = package()
    for number in range(20):
        process = ready.start("import", source, "--name", f"m{number}", "--json")
        lines = iter(process.stdout.readline, "")
        assert any('"ModelImported"' in line for line in lines)
        process.send_signal(random.choice([signal.SIGINT, signal.SIGTERM]))
        status, _, stderr = end(process)
        assert status in (0, -signal.SIGINT, -signal.SIGTERM), stderr
        assert attempt(ready, 1, f"m{number}") == SOUND


def test_two_retries_of_an_interrupted_attempt_at_once(ready, package):
    """One of them works, the other is refused; nothing happens twice."""
    for number in range(5):
        source = package({"model/weights.bin": 100 * MIB}, name=f"package{number}")
        process = ready.start("import", source, "--name", f"m{number}", "--json")
        process.stdout.readline()
        process.kill()
        end(process)
        both = [ready.start("retry", f"m{number}", "--json") for _ in range(2)]
        ended = sorted(end(process) for process in both)
        assert ended[0][0] == 0, ended
        assert "being imported now" in ended[1][2] or "imported already" in ended[1][2], ended
        names = attempt(ready, 1, f"m{number}")
        assert [name for name in names if name != "ImportResumed"] == SOUND
        assert names.count("ImportResumed") <= 1


# -- several processes --

def test_retry_of_what_is_running_is_refused(ready, package):
    process, seen = start(ready, package(SLOW))
    process.send_signal(signal.SIGSTOP)  # it stays running, however slow the machine
    refused = ready.run("retry", "m", "--json")
    process.send_signal(signal.SIGCONT)
    status, rest, stderr = end(process)
    assert refused.returncode == 2 and refused.stdout == "", str(refused)
    assert "being imported now" in refused.stderr and "--follow" in refused.stderr
    assert status == 0, stderr
    assert event_names(seen + rest) == SOUND
    assert timeline(ready) == seen + rest


def test_import_beside_a_running_one_is_the_next_version(ready, package):
    process, _ = start(ready, package(SLOW))
    process.send_signal(signal.SIGSTOP)
    ready.run("import", package(name="other"), "--name", "m", check=True)
    taken = ready.run("import", package(name="third"), "--name", "m", "--version", "0.0.1")
    process.send_signal(signal.SIGCONT)
    status, _, stderr = end(process)
    assert taken.returncode == 2, str(taken)
    assert status == 0, stderr
    assert attempt(ready, 1, "m:0.0.1") == attempt(ready, 1, "m:0.0.2") == SOUND


def test_follow_sees_every_event_once(ready, package):
    process, seen = start(ready, package(SLOW), seen=1)
    followers = [ready.start("events", "m", "--follow", "--json") for _ in range(3)]
    status, rest, stderr = end(process)
    assert status == 0, stderr
    for follower in followers:
        assert end(follower) == (0, seen + rest, "")


def test_follow_of_an_interrupted_attempt_sees_the_retry(ready, package):
    source = package(SLOW)
    interrupted(ready, source)
    follower = ready.start("events", "m", "--follow", "--json")
    first = json.loads(follower.stdout.readline())
    ready.run("retry", "m", check=True)
    status, rest, stderr = end(follower)
    assert status == 0, stderr
    assert [first, *rest] == timeline(ready)


def test_wait_ends_with_the_import_and_its_status(ready, package):
    process, _ = start(ready, package(SLOW))
    waiting = ready.start("wait", "m")
    status, _, stderr = end(process)
    assert status == 0, stderr
    assert finish(waiting) == (0, "m:0.0.1 published\n", "")
    broken = package(config={"model_type": "Nonsense"}, name="broken")
    ready.run("import", broken, "--name", "b")
    failed = ready.run("wait", "b:0.0.1")
    assert (failed.returncode, failed.stderr) == (1, "")
    assert failed.stdout.startswith("b:0.0.1 failed\n\nmodel/config.json:3:17: /model_type is ")
    assert ready.run("wait", "b:0.0.1", "--quiet").stdout == ""
    assert ready.run("wait", "m", "--quiet", check=True).stdout == ""


def test_wait_gives_up_at_its_timeout(ready, package):
    process, _ = start(ready, package(SLOW))
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    over = ready.run("wait", "m", "--timeout", "1")
    took = time.monotonic() - began
    at_once = ready.run("wait", "m", "--timeout", "0")
    process.send_signal(signal.SIGCONT)
    assert end(process)[0] == 0
    assert over.returncode == 1 and over.stdout == "" and 1 <= took < 30, str(over)
    assert over.stderr == "waybill: m:0.0.1 has not ended within 1 s: its status is publishing\n"
    assert at_once.returncode == 1, str(at_once)
    assert ready.run("wait", "m", "--timeout", "0", check=True).stdout == "m:0.0.1 published\n"
    assert ready.run("wait", "m", "--timeout", "-2").returncode == 2
    assert ready.run("wait", "nobody").returncode == 1


def test_wait_for_an_interrupted_attempt_says_what_goes_on_with_it(ready, package):
    interrupted(ready, package(SLOW))
    waiting = ready.start("wait", "m")
    assert "waybill retry m:0.0.1" in waiting.stderr.readline()
    ready.run("retry", "m", check=True)
    assert finish(waiting) == (0, "m:0.0.1 published\n", "")


def test_cancel_from_another_process(ready, package):
    process, seen = start(ready, package(SLOW))
    began = time.monotonic()
    cancelled = ready.run("cancel", "m")
    status, rest, stderr = end(process)
    assert cancelled.returncode == 0, str(cancelled)
    assert status == 1, stderr
    assert time.monotonic() - began < 20
    events = seen + rest
    assert timeline(ready) == events
    assert attempt(ready, 1) == ["ImportStarted", "ModelSizeCalculated", "ImportCancelled",
                                 "ImportFailed"]
    asked, last = events[-2:]
    assert last["cause"] == asked["seq"] and asked["event_type"] == "hint" and asked["actor"]
    assert_answered(ready, asked)
    assert models(ready)[0]["model_status"] == "failed"
    assert set(index_of(ready.data)) == {"runtime/base"}
    assert os.listdir(ready.data / "images/tmp") == []
    ready.run("retry", "m", check=True)
    assert attempt(ready, 2)[-1] == "ModelImported"
    assert_store(ready)


def test_cancel_of_an_interrupted_import(ready, package):
    interrupted(ready, package(SLOW))
    ready.run("cancel", "m", check=True)
    names = attempt(ready, 1)
    assert [name for name in names if name != "ImportResumed"] == [
        "ImportStarted", "ModelSizeCalculated", "ImportCancelled", "ImportFailed"]
    again = ready.run("cancel", "m")
    assert again.returncode == 1 and "failed" in again.stderr, str(again)
    assert attempt(ready, 1) == names
    assert_store(ready)


# -- delete --

def test_deleted_model_is_gone_and_its_timeline_stays(ready, package):
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("import", package(name="other"), "--name", "stays", check=True)
    identity = models(ready)[0]["model_id"]
    before = timeline(ready)
    ready.run("delete", "m", check=True)
    assert [model["model_name"] for model in models(ready)] == ["stays"]
    assert set(index_of(ready.data)) == {"runtime/base", "default/stays:0.0.1"}
    gone = ready.run("show", "m")
    assert gone.returncode == 1, str(gone)
    with sqlite3.connect(ready.data / "waybill.db") as store:
        rows = store.execute("SELECT event FROM events WHERE model_id = ? ORDER BY seq", [identity])
        assert [json.loads(row[0]) for row in rows] == before
    assert_store(ready)
    ready.run("import", package(name="third"), "--name", "m", check=True)


def test_delete_ends_a_running_import(ready, package):
    process, _ = start(ready, package(SLOW))
    ready.run("delete", "m", check=True)
    status, _, stderr = end(process)
    assert status == 1, stderr
    assert models(ready) == []
    assert set(index_of(ready.data)) == {"runtime/base"}
    assert_store(ready)


# -- the build --

def test_log_shows_the_build_of_each_attempt(ready, package):
    source = package(config={"model_type": "Nonsense"})
    ready.run("import", source, "--name", "m")
    none = ready.run("log", "m")
    assert none.stdout == "" and "no build log" in none.stderr, str(none)
    (source / "model/config.json").write_text('{"model_algorithm": "test", "model_type": "Custom"}')
    ready.run("retry", "m", check=True)
    shown = ready.run("log", "m", check=True)
    digest = timeline(ready)[-1]["evidence"]["digest"]
    assert "manifest " + digest in shown.stdout
    lines = [line for line in shown.stdout.splitlines() if " layer sha256:" in line]
    assert len(lines) == 1 and "2 files" in lines[0], shown.stdout
    assert ready.run("log", "m", "--attempt", "2", check=True).stdout == shown.stdout
    assert ready.run("log", "m", "--attempt", "1").stdout == ""
    assert ready.run("log", "m", "--attempt", "3").returncode == 1


class StoreLock:
    """Another process's write lock, taken in the moment between the end of `environment` and the
    transaction that queues the build. A base whose config is large makes that moment long enough."""

    def __init__(self, waybill, package):
        self.store = sqlite3.connect(waybill.data / "waybill.db", timeout=0, isolation_level=None)
        self.process = waybill.start("--set", "store.busy_timeout_ms=200", "import", package,
                                     "--name", "m", "--json")
        self.taken = self._take()

    def _take(self):
        deadline = time.monotonic() + 60
        while not self._one("SELECT count(*) FROM stages WHERE stage = 'environment'"):
            assert time.monotonic() < deadline and self.process.poll() is None
        try:
            self.store.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return not self._one("SELECT count(*) FROM jobs WHERE kind = 'image-build'")

    def _one(self, sql):
        return self.store.execute(sql).fetchone()[0]

    def release(self):
        if self.store.in_transaction:
            self.store.execute("ROLLBACK")
        self.store.close()


@pytest.fixture
def at_the_queue(waybill_at, package, tmp_path):
    """(Waybill, StoreLock): the import is about to hand its build over, and cannot."""
    write_layout(tmp_path / "base", [entry("etc/passwd", USERS, mode=0o644)],
                 {"Cmd": ["sh"], "Labels": {f"label{i}": "x" * 20 for i in range(60000)}})
    source, locks = package(), []
    try:
        for number in range(20):
            waybill = waybill_at(f"data{number}")
            waybill.run("runtime", "add", "base", "--image", f"oci:{tmp_path}/base:latest", check=True)
            locks.append(StoreLock(waybill, source))
            if locks[-1].taken:
                break
            locks[-1].release()
            end(locks[-1].process)
        assert locks[-1].taken, "the lock came too late 20 times"
        yield waybill, locks[-1]
    finally:
        for lock in locks:
            lock.process.kill()
            lock.process.wait()
            lock.store.close()


def test_build_that_the_store_does_not_take_is_event_23(at_the_queue):
    waybill, lock = at_the_queue
    said = lock.process.stderr.readline()
    assert "incident" in said and "locked" in said, said
    lock.release()
    status, events, stderr = end(lock.process)
    assert status == 1, stderr
    problem, last = events[-2:]
    assert (problem["reason"], problem["kind"], problem["stage"]) == \
        ("BuildRequestFailed", "store_busy", "build")
    assert problem["evidence"]["incident"] in said and problem["evidence"]["error"]
    assert_answered(waybill, problem)
    assert last["cause"] == problem["seq"]
    assert attempt(waybill, 1) == ["ImportStarted", "ModelSizeCalculated", "ModelFilesImported",
                                   "BuildRequestFailed", "ImportFailed"]
    waybill.run("retry", "m", check=True)
    assert attempt(waybill, 2) == ["ImportStarted", *BUILT]
    assert_store(waybill)


def test_store_that_stays_locked_ends_the_process_and_not_the_attempt(at_the_queue):
    """No event can be written; none is made up later. A retry goes on."""
    waybill, lock = at_the_queue
    status, _, stderr = end(lock.process)
    assert status == 3 and "locked" in stderr, (status, stderr)
    assert stderr.count("incident") == 1, "the same failure under another name: " + stderr
    lock.release()
    waybill.run("retry", "m", check=True)
    names = attempt(waybill, 1)
    assert [name for name in names if name != "ImportResumed"] == SOUND
    assert_store(waybill)


@pytest.fixture
def copying(ready, package):
    """copying(timeout) is (an import at the beginning of its copy, another process's write lock):
    its next transaction is refused."""
    store = sqlite3.connect(ready.data / "waybill.db", timeout=60, isolation_level=None)
    processes = []

    def begin(timeout):
        process = ready.start("--set", f"store.busy_timeout_ms={timeout}", "import", package(SLOW),
                              "--name", "m", "--json")
        processes.append(process)
        while json.loads(process.stdout.readline())["reason"] != "ModelSizeCalculated":
            pass
        store.execute("BEGIN IMMEDIATE")
        return process, store
    yield begin
    store.close()
    for process in processes:
        process.kill()
        process.wait()


def test_store_that_is_busy_while_a_stage_closes_is_waited_for(ready, copying):
    process, store = copying(1000)
    time.sleep(2.5)  # longer than the program's first two tries take
    store.execute("ROLLBACK")
    status, _, stderr = end(process)
    assert (status, stderr) == (0, "")
    assert attempt(ready, 1) == SOUND
    assert_store(ready)


def test_store_that_stays_busy_while_a_stage_closes_leaves_the_attempt_open(ready, copying):
    process, store = copying(50)
    status, _, stderr = end(process)
    store.execute("ROLLBACK")
    assert status == 3 and "locked" in stderr and "incident" not in stderr, stderr
    assert "go on later: waybill retry m:0.0.1" in stderr
    assert event_names(timeline(ready)) == ["ImportStarted", "ModelSizeCalculated"]
    ready.run("retry", "m", check=True)
    assert [name for name in attempt(ready, 1) if name != "ImportResumed"] == SOUND
    assert_store(ready)
