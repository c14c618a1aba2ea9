"""Podman and buildah with a storage of their own: nothing of a test is left in that of this machine, and
nothing that lies there has a part in a test."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import python_base
from conftest import PROGRAM, ROOT
from oci_layout import entry

BASE = "localhost/waybill-test-base"
# runc, cgroupfs and the low limits also work where there is no systemd or root has few rights.
RUNNING = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"]
LIMITS = ["--ulimit", "nofile=8192:8192", "--ulimit", "nproc=1000:1000"]


class Containers:
    def __init__(self):
        self.where = Path(tempfile.mkdtemp(prefix="wbc-", dir="/var/tmp"))  # sockets want a short path
        self.storage = ["--root", str(self.where / "root"), "--runroot", str(self.where / "run"),
                        "--storage-driver", "overlay"]

    def call(self, *words, check=True, timeout=300, stdin=None):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              input=stdin, timeout=timeout)
        if check:
            assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
        return done

    def podman(self, *words, **options):
        return self.call("podman", *self.storage, *RUNNING, *words, **options)

    def build(self, containerfile, context, *words):
        """The image's id."""
        said = self.where / "iid"
        self.call("buildah", *self.storage, "build", "--isolation", "chroot", "--format", "docker",
                  "--iidfile", said, "-f", containerfile, *words, context)
        return said.read_text().strip()

    def base(self):
        """The name of Debian 12: the base image that the tests of environments have anyway, as root."""
        id_of_nobody = entry("etc/machine-id", "5a" * 16 + "\n", mode=0o444)
        layout = python_base.derive(self.where / "base", [id_of_nobody], User="root")
        self.podman("pull", "--quiet", f"oci:{layout}:latest")
        image = self.podman("images", "--quiet").stdout.split()[0]
        self.podman("tag", image, BASE)
        shutil.rmtree(layout)
        return BASE

    def inspect(self, image):
        return self.podman("inspect", "--type", "image", "--format", "json", image).stdout

    def mounts(self):
        return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
                if line.split()[1].startswith(str(self.where))]

    def remove(self):
        self.podman("rm", "--force", "--all", "--time", "1", check=False)
        for place in reversed(self.mounts()):
            subprocess.run(["umount", "-l", place], capture_output=True)
        shutil.rmtree(self.where)


@pytest.fixture
def containers():
    if os.geteuid() != 0:
        pytest.skip("building an image without the machine's storage needs root")
    for program in ("podman", "buildah"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    why = python_base.can_be_made()
    if why:
        pytest.skip(why)
    made = Containers()
    try:
        yield made
    finally:
        made.remove()
    assert not made.where.exists() and not made.mounts()


@pytest.fixture
def image(containers, tmp_path):
    """deploy/Containerfile, with the program that the tests run: compiling it once more takes minutes."""
    context = tmp_path / "context"
    (context / "build").mkdir(parents=True)
    (context / "build/waybill").write_bytes(open(PROGRAM, "rb").read())
    containers.base()
    return containers.build(ROOT / "deploy/Containerfile", context, "--build-arg", f"BASE={BASE}",
                            "--build-arg", "PROGRAM=build/waybill")
