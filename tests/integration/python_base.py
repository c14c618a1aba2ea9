"""A base image with Python for the tests of environments: Debian's minbase, python3, python3-pip and
the user ma-user, made once by mmdebstrap and kept in build/test-base (it needs root and Debian's
mirror). Deterministic enough for tests: its digest stays as long as it is kept."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from oci_layout import CONFIG, INDEX, LAYER, MANIFEST, REF_NAME, host_platform, tar_of

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(os.environ.get("WAYBILL_TEST_BASE") or ROOT / "build/test-base")
PACKAGES = "python3,python3-pip,python3-setuptools,python3-wheel,ca-certificates"


def can_be_made():
    """Why it cannot, or None."""
    if (KEPT / "index.json").is_file():
        return None
    if os.geteuid() != 0:
        return "making a base image needs root"
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap is not installed"
    return None


def run_mmdebstrap(tar):
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--include=" + PACKAGES,
         '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=path-exclude=/usr/share/man/*",
         "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         "--customize-hook=chroot \"$1\" useradd -u 1000 -g 100 -d /home/mind -m ma-user",
         "bookworm", str(tar)],
        check=True, capture_output=True, env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"))


def write_blob(blobs, data):
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def write_python_layout(where, tar):
    blobs = where / "blobs/sha256"
    blobs.mkdir(parents=True)
    digest = hashlib.sha256(tar.read_bytes()).hexdigest()
    shutil.move(tar, blobs / digest)
    layer = {"mediaType": LAYER, "digest": "sha256:" + digest,
             "size": (blobs / digest).stat().st_size}
    system, architecture = host_platform().split("/")
    config = write_blob(blobs, json.dumps({
        "architecture": architecture, "os": system,
        "config": {"User": "ma-user:100", "WorkingDir": "/home/mind",
                   "Cmd": ["python3", "-u", "/home/mind/model/serve.py"],
                   "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],
                   "ExposedPorts": {"8080/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
    manifest = write_blob(blobs, json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": dict(config, mediaType=CONFIG), "layers": [layer]}).encode())
    write_top(where, manifest)


def write_top(where, manifest):
    (where / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (where / "index.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [dict(manifest, mediaType=MANIFEST, annotations={REF_NAME: "latest"})]}))


def make():
    making = KEPT.with_name(KEPT.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    run_mmdebstrap(making / "base.tar")
    write_python_layout(making, making / "base.tar")
    shutil.rmtree(KEPT, ignore_errors=True)
    making.rename(KEPT)


def python_layout():
    """The path of the layout; tag `latest`. Of several processes that ask for it one makes it."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with open(KEPT.with_name(KEPT.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (KEPT / "index.json").is_file():
            make()
    return KEPT


def derive(where, entries, **config):
    """The path of a layout whose image is python_layout's with one more layer, of oci_layout.entry;
    config: members of its config that are replaced (Cmd, Env)."""
    base = python_layout()
    shutil.copytree(base, where, copy_function=os.link)
    for name in ("index.json", "oci-layout"):
        (where / name).unlink()
    blobs = where / "blobs/sha256"

    def read(descriptor):
        return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    manifest = read(json.loads((base / "index.json").read_text())["manifests"][0])
    image = read(manifest["config"])
    layer = write_blob(blobs, tar_of(entries))
    image["config"] |= config
    image["rootfs"]["diff_ids"].append(layer["digest"])
    described = write_blob(blobs, json.dumps(image).encode())
    manifest["layers"].append(dict(layer, mediaType=LAYER))
    manifest["config"] = dict(described, mediaType=CONFIG)
    write_top(where, write_blob(blobs, json.dumps(manifest).encode()))
    return where
