"""Somebody who is not root: a user made for the tests, with a range of subordinate ids, where root runs
them; else who runs them."""
import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import PROGRAM, write_package
from environments import make_builder, remove


@dataclass
class Person:
    """home: a directory that is theirs, and that everybody reaches."""
    name: str
    uid: int
    gid: int
    home: Path
    program: str

    @property
    def who(self):
        """For Popen."""
        return {} if os.geteuid() == self.uid else \
            {"user": self.uid, "group": self.gid, "extra_groups": []}

    def become(self, waybill):
        """Has a Waybill run as this person."""
        waybill.program, waybill.who = self.program, self.who
        waybill.environment |= {"HOME": str(self.home), "USER": self.name,
                                "TMPDIR": str(self.directory("tmp"))}
        return waybill

    def directory(self, name):
        path = self.home / name
        path.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
        return path

    def subordinate(self):
        """The first of the range of user ids."""
        for line in Path("/etc/subuid").read_text().splitlines():
            name, first, _ = line.split(":")
            if name == self.name:
                return int(first)

    def processes(self):
        """Those that run as this person or as one of the range."""
        found, first = [], self.subordinate()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                owner, words = process.stat().st_uid, (process / "cmdline").read_bytes()
                if words and (owner == self.uid or (first and first <= owner < first + 65536)):
                    found.append(words)
        return found


def free_range():
    ends = [100000]
    for file in ("/etc/subuid", "/etc/subgid"):
        with contextlib.suppress(OSError):
            ends += [int(first) + int(count) for _, first, count in
                     (line.split(":") for line in Path(file).read_text().splitlines())]
    return f"{max(ends)}-{max(ends) + 65535}"


@contextlib.contextmanager
def one_at_a_time():
    """Tests run beside each other: two would find the same range free, or one wait for another's lock of
    /etc/passwd."""
    with open(Path(tempfile.gettempdir()) / "waybill-people.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def somebody(ranges=True):
    """A user, until it is left."""
    # Not where pytest makes its directories: those are for whoever runs it.
    home = Path(tempfile.mkdtemp(prefix="waybill-person-"))
    name, made = "wb-" + uuid.uuid4().hex[:10], False
    try:
        home.chmod(0o755)
        program = shutil.copy(PROGRAM, home / "waybill")
        if os.geteuid() == 0:
            with one_at_a_time():
                subprocess.run(["useradd", "-M", "-d", home, "-K", "SUB_UID_COUNT=0", "-K",
                                "SUB_GID_COUNT=0", name], check=True, capture_output=True)
                made = True
                given = free_range()
                if ranges:
                    subprocess.run(["usermod", "--add-subuids", given, "--add-subgids", given, name],
                                   check=True)
        user = pwd.getpwnam(name) if made else pwd.getpwuid(os.getuid())
        if made:
            os.chown(home, user.pw_uid, user.pw_gid)
        yield Person(user.pw_name, user.pw_uid, user.pw_gid, home, str(program))
    finally:
        if made:
            with one_at_a_time():
                subprocess.run(["userdel", name], check=True, capture_output=True)
        remove(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def person():
    with somebody() as somebody_with_a_range:
        yield somebody_with_a_range


@pytest.fixture
def stranger():
    """Somebody without any range."""
    if os.geteuid() != 0:
        pytest.skip("making a user needs root")
    with somebody(ranges=False) as somebody_without:
        yield somebody_without


@pytest.fixture(scope="session")
def rootless(person, python_layout):
    """environments.builder, run by that person."""
    layout = person.home / "layout"
    shutil.copytree(python_layout, layout)
    waybill = make_builder(person.directory("data"), layout, who=person.become)
    found = waybill.run("doctor", "--json").events
    [sandbox] = [check for check in found if check["id"] == "sandbox-runtime"]
    if os.geteuid() != 0 and sandbox["status"] != "ok":
        pytest.skip(sandbox["found"])
    return waybill


@pytest.fixture
def theirs(person):
    """conftest.package, where that person can read it."""
    where = Path(tempfile.mkdtemp(dir=person.home))
    where.chmod(0o755)

    def build(files=None, config=None, name="package"):
        sound = {"model/config.json": {"model_algorithm": "test", "model_type": "Custom"}
                                      | (config or {}),
                 "model/weights.bin": "weights"}
        return write_package(where / name, sound | (files or {}))
    return build
