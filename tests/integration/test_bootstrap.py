"""`waybill runtime bootstrap`: base images of Debian's packages. What mmdebstrap does wrong is shown
by one of ours that does it; what it does right by the real one, where a mirror can be reached."""
import json
import os
import signal
import subprocess
import tarfile
import time
import urllib.request
import uuid

import pytest

from conftest import ROOT, Waybill, finish
from rootless import person  # noqa: F401
from terminal import ESCAPE, run_on_terminal, shown_lines, width

DIGITS = ROOT / "examples/digits"
SKLEARN = ROOT / "examples/digits-sklearn"
# Ours: writes a small system with today's times, says its steps, or does what MODE says.
FAKE = '''#!/usr/bin/python3
import io, os, subprocess, sys, tarfile, time
mode = open(os.path.dirname(__file__) + "/mode").read()
sources = sys.stdin.read()
with open(os.path.dirname(__file__) + "/seen", "w") as file:
    file.write(repr((sys.argv[1:], sources, dict(os.environ))))
def say(text):
    print(text, file=sys.stderr, flush=True)
say("I: running apt-get update...")
open(os.environ["TMPDIR"] + "/left", "w").close()
if mode.startswith("say "):
    say(mode[4:])
    sys.exit(1)
if mode == "hang":
    child = subprocess.Popen(["sleep", "1000"])
    with open(os.path.dirname(__file__) + "/child", "w") as file:
        file.write(str(child.pid))
    open(os.environ["TMPDIR"] + "/hangs", "w").close()
    time.sleep(1000)
tar = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
def add(name, data=None, **values):
    info = tarfile.TarInfo(name)
    info.mtime, info.uname = int(time.time()), str(os.getpid())
    info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    info.size = len(data or b"")
    for key, value in values.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data or b""))
for name in "./", "./dev", "./etc", "./usr", "./var", "./var/log", "./var/partial":
    add(name)
if mode == "slow":
    time.sleep(0.3)
    say("I: creating tarball...")
    time.sleep(0.3)
add("./dev/null", type=tarfile.CHRTYPE)
add("./etc/hostname", b"here")
add("./etc/passwd", b"ma-user:x:1000:100::/home/ma-user:/bin/sh")
add("./etc/passwd-", b"backup")
if mode == "escape":
    add("./../escaped", b"x")
add("./usr/version", b"2" if mode == "newer" else b"1")
add("./var/log/dpkg.log", str(time.time()).encode())
if mode == "torn":
    sys.stdout.buffer.write(b"x" * 100)
    sys.exit(1)
tar.close()
'''


@pytest.fixture
def fake(waybill, tmp_path):
    """fake(mode): the arguments of a bootstrap with our mmdebstrap; fake.bin is where it lies."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "mmdebstrap").write_text(FAKE)
    (folder / "mmdebstrap").chmod(0o755)
    waybill.environment["PATH"] = f"{folder}:{os.environ['PATH']}"

    def choose(mode=""):
        (folder / "mode").write_text(mode)
        return "runtime", "bootstrap", "python3.11"
    choose.folder = folder
    return choose


def leftovers(waybill):
    found = list(waybill.data.glob("bootstrap*")) + list((waybill.data / "images/tmp").glob("*"))
    processes = subprocess.run(["pgrep", "-f", str(waybill.data)], capture_output=True, text=True)
    return found + processes.stdout.split()


def layers(waybill, name="runtime/python3.11"):
    """The image's config, and each layer's {path: member}."""
    images = waybill.data / "images"
    def blob(descriptor):
        return images / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")
    index = json.loads((images / "index.json").read_text())
    [entry] = [entry for entry in index["manifests"]
               if entry["annotations"]["org.opencontainers.image.ref.name"] == name]
    manifest = json.loads(blob(entry).read_text())
    contents = []
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as tar:
            contents.append({member.name: (member, member.isfile() and tar.extractfile(
                member).read()) for member in tar})
    return json.loads(blob(manifest["config"]).read_text()), contents


def test_a_bootstrapped_image_is_debian_and_the_inference_service(waybill, fake):
    result = waybill.run(*fake(), check=True)
    assert result.stdout.startswith("added python3.11  linux/") and not result.stderr
    config, (system, service) = layers(waybill)
    assert config["config"] | {"Env": 0, "Labels": 0} == {
        "User": "1000:100", "Cmd": ["/usr/bin/python3", "/opt/waybill/serve.py"], "Env": 0,
        "WorkingDir": "/home/mind", "ExposedPorts": {"8080/tcp": {}}, "StopSignal": "SIGTERM",
        "Labels": 0}
    assert "created" not in json.dumps(config).replace("created_by", "")
    assert sorted(system) == ["dev", "etc", "etc/apt/sources.list", "etc/passwd", "usr",
                              "usr/version", "var", "var/log"]
    files = {str(path.relative_to(ROOT / "runtime/python")): path.read_bytes()
             for path in (ROOT / "runtime/python").rglob("*.py")}
    assert {name.removeprefix("opt/waybill/"): data for name, (member, data) in service.items()
            if member.isfile()} == files
    for member, _ in [*system.values(), *service.values()]:
        assert (member.mtime, member.uname) == (0, "")
    [row] = waybill.run("runtime", "list", "--json").events
    assert (row["engine"], row["image"]) == (None, "bootstrap:python3.11")
    assert not leftovers(waybill)


def test_bootstrapping_again_says_what_changed(waybill, fake):
    first = waybill.run(*fake(), check=True).stdout.split()[-1]
    time.sleep(1.1)
    again = waybill.run(*fake(), check=True).stdout
    assert again.startswith("unchanged python3.11") and again.split()[-1] == first
    newer = waybill.run(*fake("newer"), check=True).stdout
    assert newer.startswith("updated python3.11") and first in newer.splitlines()[1]
    assert len(waybill.run("runtime", "list", "--json").events) == 1
    waybill.run("gc", check=True)
    waybill.run("verify", check=True)
    damaged = waybill.data / "images/blobs/sha256"
    for blob in damaged.iterdir():
        blob.write_bytes(b"")
    assert "waybill runtime bootstrap python3.11" in waybill.run("verify").stdout


def test_packages_come_from_the_mirror_that_is_set_and_no_password_is_shown(waybill, fake):
    mirror = "http://user:secretword@mirror.example/debian"
    waybill.run("--set", "build.apt_mirror=" + mirror, *fake(), check=True, env={"PERL5LIB": "x"})
    arguments, sources, environment = eval((fake.folder / "seen").read_text())
    assert sources == (f"deb {mirror} bookworm main\ndeb {mirror} bookworm-updates main\n")
    assert "secretword" not in str(arguments) and "PERL5LIB" not in environment
    assert environment["SOURCE_DATE_EPOCH"] == "0"
    result = waybill.run("--set", "build.apt_mirror=" + mirror, *fake(
        "say E: Failed to fetch http://user:secretword@mirror.example/debian/dists"))
    assert result.returncode == 1 and "secretword" not in result.stderr
    result = waybill.run("--set", "build.apt_mirror=mirror", *fake())
    assert result.returncode == 2 and "build.apt_mirror has mirror" in result.stderr


@pytest.mark.parametrize("words, advice", [
    ("E: Could not resolve 'deb.debian.org'", "--set build.apt_mirror=URL"),
    ("W: GPG error: NO_PUBKEY 0E98404D386FA1D9", "install debian-archive-keyring"),
    ("tar: ./usr: Cannot write: No space left on device", "the disk is full"),
    ("E: unable to pick mode", "run it as root"),
    ("Something else", "Something else"),
])
def test_a_failure_says_what_to_do_in_its_own_words(waybill, fake, words, advice):
    result = waybill.run(*fake("say " + words))
    assert result.returncode == 1 and "mmdebstrap failed" in result.stderr
    assert advice in result.stderr and words in result.stderr
    assert not waybill.run("runtime", "list", "--json").events and not leftovers(waybill)


@pytest.mark.parametrize("mode, message", [
    ("escape", "the archive has the entry ./../escaped, expected one below its root"),
    ("torn", "mmdebstrap failed")])
def test_a_bad_archive_adds_nothing(waybill, fake, mode, message):
    result = waybill.run(*fake(mode))
    assert result.returncode == 1 and message in result.stderr
    assert not waybill.run("runtime", "list", "--json").events and not leftovers(waybill)


def start_and_hang(waybill, fake):
    process = waybill.start(*fake("hang"))
    deadline = time.monotonic() + 20
    while not list(waybill.data.glob("bootstrap-*/hangs")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing_behind(waybill, fake, how):
    process = start_and_hang(waybill, fake)
    process.send_signal(how)
    status, _, errors = finish(process)
    assert status == 130 and "nothing was added" in errors and not leftovers(waybill)
    assert not os.path.exists("/proc/" + (fake.folder / "child").read_text())


@pytest.mark.parametrize("language, step", [("en", "1/7 asking the mirror"),
                                            ("zh", "1/7 查询软件源")])
def test_a_terminal_shows_the_step_and_the_time(waybill, fake, language, step):
    status, output = run_on_terminal(
        [waybill.program, *fake("slow")], waybill.environment | {"WAYBILL_LANG": language}, 80)
    text = ESCAPE.sub("", output)
    assert status == 0 and step in text and "7/7" in text, output
    lines = shown_lines(output.replace("\x1b[K", ""))
    assert lines[0].lstrip().startswith("added python3.11")
    assert all(width(part) < 80 for part in text.split("\r") if "/7 " in part)


def test_what_is_no_recipe_or_not_there_is_said_before_anything_is_made(waybill, tmp_path):
    result = waybill.run("runtime", "bootstrap", "python2.7")
    assert result.returncode == 2 and "expected one of: python3.11" in result.stderr
    result = waybill.run("runtime", "bootstrap", "python3.11", env={"PATH": str(tmp_path)})
    assert result.returncode == 1 and "mmdebstrap is not installed: apt install" in result.stderr
    result = waybill.run("runtime", "bootstrap", "python3.11", "--set", "image.platform=linux/s390x")
    assert result.returncode == 2 and "linux/s390x" in result.stderr
    assert not waybill.data.exists()


def test_doctor_says_whether_bootstrap_can_work(waybill, fake, tmp_path):
    def check(**environment):
        return {check["id"]: check for check in waybill.run(
            "doctor", "--json", env=environment).events}["bootstrap"]
    fake()
    assert check()["status"] == "ok"
    broken = check(PATH=str(tmp_path))
    assert (broken["status"], broken["mend"]) == ("warn", "apt install mmdebstrap")


def test_what_a_killed_one_left_is_removed_by_the_next(waybill, fake):
    process = start_and_hang(waybill, fake)
    other = waybill.data / "bootstrap-other"
    other.mkdir()
    process.kill()
    finish(process)
    os.kill(int((fake.folder / "child").read_text()), signal.SIGKILL)
    waybill.run(*fake(), check=True)
    waybill.run("gc", check=True)
    assert not leftovers(waybill)


def test_the_unreachable_mirror_is_named(waybill):
    result = waybill.run("--set", "build.apt_mirror=http://127.0.0.1:9/debian", "runtime",
                         "bootstrap", "python3.11", timeout=300)
    assert result.returncode == 1 and "no mirror of Debian could be used" in result.stderr
    assert "127.0.0.1:9" in result.stderr and not leftovers(waybill)


# -- the real one --

def reachable():
    try:
        return urllib.request.urlopen("http://deb.debian.org/debian/dists/bookworm/InRelease",
                                      timeout=10).status == 200
    except OSError:
        return False


def bootstrap(waybill):
    """What it printed; waybill.digest is the image's then."""
    done = waybill.run("runtime", "bootstrap", "python3.11", check=True, timeout=600)
    waybill.digest = done.stdout.split()[-1]
    return done.stdout


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A data directory with the bootstrapped runtime, and digits imported on it."""
    if os.geteuid() != 0 or not reachable():
        pytest.skip("needs root, and deb.debian.org")
    waybill = Waybill(tmp_path_factory.mktemp("real") / "data")
    bootstrap(waybill)
    assert not leftovers(waybill)
    waybill.run("import", DIGITS, "--name", "digits", check=True)
    return waybill


def test_who_is_not_root_gets_the_same_image(real, person):
    theirs = person.become(Waybill(person.directory("bootstrapped")))
    bootstrap(theirs)
    if theirs.digest != real.digest:
        bootstrap(real)  # Debian has put out other packages meanwhile
    assert theirs.digest == real.digest
    assert not leftovers(theirs)


def test_the_same_packages_give_the_same_digest(real):
    if "WAYBILL_TEST_POINTS" in os.environ:
        pytest.skip("slow, and proven with the other build")
    before, again = real.digest, bootstrap(real)
    if not again.startswith("unchanged"):  # Debian has put out other packages meanwhile
        before, again = real.digest, bootstrap(real)
    assert again.startswith("unchanged") and real.digest == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_real_one_leaves_no_mount_behind(real, tmp_path, how):
    """/proc, /sys and /dev are mounted while it installs."""
    waybill = Waybill(tmp_path / "data")
    process = waybill.start("runtime", "bootstrap", "python3.11")
    deadline = time.monotonic() + 300
    while not list(waybill.data.glob("bootstrap-*/mmdebstrap.*/var/lib/dpkg/info/dpkg.list")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    finish(process)
    if how == signal.SIGINT:
        assert not leftovers(waybill)
    with open("/proc/self/mounts") as mounts:
        assert str(waybill.data) not in mounts.read()


def test_the_real_image_holds_nothing_of_the_machine_that_made_it(real):
    _, (system, _) = layers(real)
    names = set(system)
    assert {"usr/bin/python3.11", "usr/bin/pip3", "usr/bin/apt-get", "home/ma-user",
            "etc/apt/sources.list"} <= names
    assert not {"etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/passwd-",
                "etc/apt/apt.conf.d/99mmdebstrap"} & names
    files = [name for name, (member, _) in system.items() if not member.isdir()]
    for folder in "dev/", "var/log/", "var/cache/apt/", "var/lib/apt/lists/", "tmp/", "run/":
        assert not [name for name in files if name.startswith(folder)]
    assert b"ma-user:x:1000:100:" in system["etc/passwd"][1]
    assert b"ma-group:x:100:" in system["etc/group"][1]
    assert not [name for name in files if system[name][0].type in (tarfile.CHRTYPE,
                                                                  tarfile.BLKTYPE)]


def test_a_model_whose_dependencies_come_by_apt_is_imported_and_answers(real):
    if "WAYBILL_TEST_POINTS" in os.environ:
        pytest.skip("slow, and proven with the other build")
    environment = {"WAYBILL_BUILD_RUNTIME": ""}
    imported = real.run("import", SKLEARN, "--name", "sklearn", "--json", check=True, timeout=600,
                        env=environment)
    assert "EnvImageBuildStarted" in imported.reasons and imported.reasons[-1] == "ModelImported"
    answer = real.run("try", "sklearn", "--input", f"@{SKLEARN}/sample.json", check=True,
                      env=environment)
    assert json.loads(answer.stdout)["digit"] == 7
    again = real.run("import", SKLEARN, "--name", "again", "--json", check=True, env=environment)
    assert "EnvImageCacheHit" in again.reasons
    digit = real.run("try", "digits", "--input", f"@{DIGITS}/sample.json", check=True,
                     env=environment)
    assert json.loads(digit.stdout)["digit"] == 3


PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
ASK = """import sys, urllib.request as web
request = web.Request("http://127.0.0.1:8080" + sys.argv[1], sys.stdin.buffer.read() or None,
                      {"Content-Type": "application/json"})
print(web.urlopen(request).read().decode())"""


def podman(*arguments, check=True, **options):
    done = subprocess.run([*PODMAN, *arguments], capture_output=True, timeout=120, **options)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture
def container(real, tmp_path):
    name = "waybill-test-" + uuid.uuid4().hex[:12]
    (tmp_path / "images").symlink_to(real.data / "images")
    image = podman("pull", "--quiet", "oci:images:default/digits:0.0.1", cwd=tmp_path).strip()
    try:
        podman("run", "--detach", "--name", name, "--network", "none", "--ulimit",
               "nofile=1024:1024", "--ulimit", "nproc=1000:1000", image)
        yield name
    finally:
        podman("rm", "--force", "--time", "1", name, check=False)
        podman("rmi", "--force", image, check=False)


def test_podman_runs_the_model_and_it_predicts(container):
    def ask(path, body=b""):
        return json.loads(podman("exec", "-i", container, "python3", "-c", ASK, path, input=body))
    deadline = time.monotonic() + 30
    while True:
        try:
            assert ask("/health") == {"status": "ok"}
            break
        except AssertionError:
            assert time.monotonic() < deadline
    assert ask("/", (DIGITS / "sample.json").read_bytes())["digit"] == 3
    assert podman("exec", container, "id").startswith("uid=1000(ma-user) gid=100(ma-group)")
    began = time.monotonic()
    podman("stop", "--time", "9", container)
    assert time.monotonic() - began < 5
    assert podman("inspect", container, "--format", "{{.State.ExitCode}}").strip() == "0"
    log = podman("logs", container)
    assert '"POST /" 200' in log and log.rstrip().endswith("stopped")
