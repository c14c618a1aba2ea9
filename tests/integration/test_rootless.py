"""Environment images, `waybill try` and base images by somebody who is not root: in a user namespace
(build/userns.h), and with the same result."""
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import wait_for
from corpus_runner import assert_answered
from environments import (builder, bring, failed, helpers, index, left_behind, make_builder,
                          python_layout, sdist, wheel)  # noqa: F401
from rootless import person, rootless, stranger, theirs  # noqa: F401
from test_bootstrap import FAKE, reachable
from test_sandbox import assert_contained
from test_try import serving

root = pytest.mark.skipif(os.geteuid() != 0, reason="compares with root's")


def environment_layer(waybill, name):
    shown = json.loads(waybill.run("show", name, "--json", check=True).stdout)
    [digest] = [layer["digest"] for layer in shown["layers"] if layer["origin"] == "environment"]
    return digest


def built(waybill, source, name, env=None):
    done = waybill.run("import", source, "--name", name, "--json", env=env, timeout=300)
    assert done.returncode == 0, str(done) + waybill.run("log", name).stdout
    return environment_layer(waybill, name)


# Changes what the base has in every way that a layer tells: replaces a directory, removes a file, gives
# files to others, sets bits, links.
CHANGES = '''
import os, shutil
if not os.path.exists("/srv/theirs"):
    shutil.rmtree("/usr/share/perl5"); os.mkdir("/usr/share/perl5"); open("/usr/share/perl5/new", "w")
    os.remove("/usr/bin/perl")
    os.makedirs("/srv/theirs"); open("/srv/theirs/file", "w").write("x")
    os.link("/srv/theirs/file", "/srv/theirs/link")
    os.chown("/srv/theirs/file", 33, 65534); os.chmod("/srv/theirs/file", 0o4750)
    os.chown("/srv/theirs", 1234, 65533); os.chmod("/srv/theirs", 0o2700)
'''


@root
def test_the_layer_is_the_one_that_root_gets(builder, rootless, theirs, index):
    index.add(wheel("plain"), sdist("changing", before=CHANGES))
    source = bring(theirs, ["plain==1.0", "changing==1.0"])
    digest = built(rootless, source, "same", index.env)
    assert digest == built(builder, source, "same", index.env)
    blob = rootless.data / "images/blobs/sha256" / digest.split(":")[1]
    listed = subprocess.run(["tar", "tvf", blob, "--numeric-owner"], capture_output=True, text=True,
                            check=True).stdout
    assert "usr/bin/.wh.perl" in listed and "usr/share/perl5/.wh..wh..opq" in listed
    told = {line.split()[5]: line.split()[:2] for line in listed.splitlines()}
    assert told["srv/theirs/"] == ["drwx--S---", "1234/65533"]
    assert told["srv/theirs/file"] == ["-rwsr-x---", "33/65534"]
    assert "srv/theirs/link link to srv/theirs/file" in listed
    assert not left_behind(rootless)


@root
@pytest.mark.skipif(not reachable(), reason="needs deb.debian.org")
def test_what_apt_installs_is_what_root_gets(builder, rootless, theirs):
    """Users and groups of its own, a file with a capability, one that is setgid."""
    source = bring(theirs, ["iputils-ping", "cron"], installer="apt")
    env = {"WAYBILL_BUILD_NETWORK": ""}
    assert built(rootless, source, "apt", env) == built(builder, source, "apt", env)
    assert not left_behind(rootless)


def test_a_build_is_contained(rootless, person, theirs, index):
    secret = person.home / "secret"
    secret.write_text("the host's own secret")
    assert_contained(rootless, theirs, index, secret)


# As many processes as it may, as ten users.
BOMB = '''
import os, time
made = 0
def many():
    count = 0
    try:
        for count in range(40):
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
    finally:
        os.write(other, bytes([count]))
        os._exit(0)
for user in range(1, 11):
    end, other = os.pipe()
    try:
        if os.fork() == 0:
            os.setuid(user)
            many()
    except BlockingIOError:
        break
    made += os.read(end, 1)[0]
raise SystemExit("MADE %d" % made)
'''


def test_processes_are_limited_whatever_user_they_are_of(rootless, theirs, index):
    index.add(sdist("bombs", before=BOMB))
    done = rootless.run("import", bring(theirs, ["bombs==1.0"]), "--name", "bombs", "--set",
                        "build.pids=64", env=index.env)
    log = rootless.run("log", "bombs").stdout
    assert done.returncode == 1
    assert 30 < int(log.split("MADE ")[1].split()[0]) < 64 + 64, log
    assert not left_behind(rootless)


def test_a_user_who_may_have_less_has_less(rootless):
    """Limits of the user's own, which only root may raise, do not keep a sandbox from starting."""
    found = sandbox_check(rootless, "prlimit", "--nproc=60:80")
    assert found["sandbox-rootfs"]["status"] == "ok", found


def test_memory_is_limited(rootless, theirs, index):
    index.add(sdist("greedy", before="x = bytearray(600 << 20)"))
    told = failed(rootless, bring(theirs, ["greedy==1.0"]), "ImageBuildFailedSeeLog",
                  "memory_refused", "greedy", "--set", "build.memory_mib=192", env=index.env)
    assert told["evidence"]["error_line"] == "MemoryError" and told["evidence"]["limit"] == 192
    assert_answered(rootless, told)


def test_disk_is_limited(rootless, theirs, index):
    index.add(sdist("filler", before="open('/var/filler', 'wb').write(bytes(300 << 20))"))
    told = failed(rootless, bring(theirs, ["filler==1.0"]), "ImageBuildFailedSeeLog", "disk",
                  "filler", "--set", "build.disk_mib=64", env=index.env)
    assert told["evidence"]["disk_limit"] == 64


def test_a_build_that_takes_too_long_leaves_nothing(rootless, person, theirs, index):
    index.add(sdist("sleepy", before="import subprocess; subprocess.run(['sleep', '4321'])"))
    failed(rootless, bring(theirs, ["sleepy==1.0"]), "ImageBuildTimeout", "", "sleepy", "--set",
           "build.timeout_minutes=0.05", env=index.env)
    assert not [words for words in person.processes() if b"4321" in words]
    assert not left_behind(rootless)


def test_a_killed_worker_takes_its_sandbox_with_it(rootless, person, theirs, index):
    index.add(sdist("endless", before="import subprocess; subprocess.run(['sleep', '4322'])"))
    process = rootless.start("import", bring(theirs, ["endless==1.0"]), "--name", "endless",
                             "--set", "build.network=proxy",
                             "--set", "build.pip_index_url=" + index.url)
    wait_for(lambda: [words for words in person.processes() if b"4322" in words])
    assert helpers(rootless)
    process.kill()
    process.communicate()
    wait_for(lambda: not helpers(rootless), 10)
    wait_for(lambda: not [words for words in person.processes() if b"4322" in words], 10)
    assert list((rootless.data / "sandbox").iterdir())
    rootless.run("gc", check=True)
    rootless.run("cancel", "endless", check=True)
    assert not left_behind(rootless)


def test_an_image_answers(rootless, theirs):
    done = rootless.run("import", serving(theirs), "--name", "served", "--verify", "--json")
    assert done.returncode == 0, str(done)
    assert "verified: it serves" in rootless.run("log", "served").stdout
    done = rootless.run("try", "served", "--input", '{"numbers": [1, 2, 39]}', check=True)
    assert json.loads(done.stdout) == {"path": "/", "sum": 42}
    assert "| serving as 1000 100" in rootless.run("try", "served", "--input", '{"boom": 1}').stderr
    assert not left_behind(rootless)


def trees(waybill):
    return [path for path in (waybill.data / "unpacked").glob("*/*")]


def test_gc_removes_what_others_of_the_range_own(rootless, person, theirs):
    """What a build was killed in the middle of, unpacked layers, and a range that was another one."""
    rootless.run("import", serving(theirs), "--name", "collected", "--verify", check=True)
    digest = json.loads(rootless.run("show", "collected", "--json").stdout)["layers"][0]["digest"]
    [base] = [path for path in trees(rootless) if digest.startswith("sha256:" + path.name)]
    former = base.parent.with_name(f"user-{person.uid}-1-1")
    for path in (base.parent / "tmp-killed", former, former / "0123456789abcdef01234567"):
        path.mkdir()
        below = path / "partial"
        below.mkdir()
        (below / "file").write_text("x")
        if os.geteuid() == 0:
            os.chown(path, person.uid, person.gid)
            os.chown(below, person.subordinate() + 41, person.gid)
        below.chmod(0o700)
    assert rootless.run("gc", "--dry-run", check=True) and former.exists()
    rootless.run("gc", check=True)
    assert trees(rootless) == [base] and not former.exists()


# -- what is missing --

def sandbox_check(waybill, *prefix, **environment):
    done = subprocess.run([*prefix, waybill.program, "doctor", "--json"],
                          env=waybill.environment | environment, capture_output=True, text=True,
                          **waybill.who)
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def assert_refused(waybill, source, check, env=None):
    """The import says what doctor does."""
    told = failed(waybill, source, "BuildStartFailed", "no_sandbox", "refused", env=env)
    assert told["evidence"]["check"] == "sandbox-runtime"
    found = check["found"].removeprefix("environments cannot be built: ")
    assert told["evidence"]["error"] == f"{found}: {check['mend']}"
    assert_answered(waybill, told)


def test_without_a_range_it_says_so(stranger, person, rootless, theirs):
    waybill = make_builder(stranger.directory("data"), person.home / "layout", who=stranger.become)
    found = sandbox_check(waybill)
    check = found["sandbox-runtime"]
    assert check["status"] == "warn"
    assert f"/etc/subuid has no range of 65536 ids for {stranger.name}" in check["found"]
    program, *options, name = check["mend"].split()
    assert (program, name) == ("usermod", stranger.name)
    assert options[::2] == ["--add-subuids", "--add-subgids"]
    assert found["bootstrap"]["mend"] == check["mend"]
    assert_refused(waybill, bring(theirs, ["numpy"]), check)
    subprocess.run(check["mend"].split(), check=True)
    assert sandbox_check(waybill)["sandbox-runtime"]["status"] == "ok"


@pytest.mark.parametrize("prefix, environment, found, mend", [
    ((), {"PATH": "/nowhere"}, "newuidmap is not installed", "apt install uidmap"),
    (("setpriv", "--no-new-privs"), {}, "no_new_privs", "NoNewPrivileges="),
])
def test_what_is_missing_is_named(rootless, prefix, environment, found, mend):
    check = sandbox_check(rootless, *prefix, **environment)["sandbox-runtime"]
    assert check["status"] == "warn" and found in check["found"] and mend in check["mend"]


def test_doctor_says_what_is_not_limited(rootless):
    found = sandbox_check(rootless)
    assert found["sandbox-rootfs"]["status"] == "ok", found
    assert "memory as a whole is not limited" in found["sandbox-limits"]["found"]
    assert "MemoryMax=" in found["sandbox-limits"]["mend"]


# -- base images --

@pytest.fixture
def bootstrap(rootless, person):
    """test_bootstrap.fake, for that person."""
    folder = Path(tempfile.mkdtemp(dir=person.directory("programs")))
    (folder / "mmdebstrap").write_text(FAKE)
    (folder / "mmdebstrap").chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, person.uid, person.gid)
    path = rootless.environment["PATH"]
    rootless.environment["PATH"] = f"{folder}:{path}"

    def choose(mode=""):
        (folder / "mode").write_text(mode)
        return "runtime", "bootstrap", "python3.11"
    choose.folder = folder
    yield choose
    rootless.environment["PATH"] = path


@pytest.mark.parametrize("sweeper", ["gc", "bootstrap"])
def test_a_killed_bootstrap_takes_its_processes_with_it_and_is_swept(person, rootless, bootstrap,
                                                                     sweeper):
    process = rootless.start(*bootstrap("hang"))
    [hangs] = wait_for(lambda: list(rootless.data.glob("bootstrap-*/hangs")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not [words for words in person.processes()
                          if b"sleep\0" + b"1000" in words or b"mmdebstrap" in words], 10)
    below = hangs.parent / "var"
    below.mkdir()
    (below / "file").write_text("x")
    if os.geteuid() == 0:  # as apt's user leaves it
        os.chown(below, person.subordinate() + 41, person.subordinate())
    below.chmod(0o700)
    rootless.run(*(bootstrap() if sweeper == "bootstrap" else ["gc"]), check=True)
    assert not list(rootless.data.glob("bootstrap-*"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_bootstrap_leaves_nothing(person, rootless, bootstrap, how):
    process = rootless.start(*bootstrap("hang"))
    wait_for(lambda: list(rootless.data.glob("bootstrap-*/hangs")))
    process.send_signal(how)
    assert "nothing was added" in process.communicate(timeout=30)[1] and process.returncode == 130
    assert not [words for words in person.processes() if b"mmdebstrap" in words]
    assert not list(rootless.data.glob("bootstrap-*"))
