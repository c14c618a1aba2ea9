"""Equal input gives equal bytes, and what was packed before is not packed again, nor read. The image
is opened with other people's tools."""
import gzip
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from conftest import ROOT, Waybill, write_package
from oci_layout import blob_path
from tracing import large_files_read
from wholeness import assert_store, blobs_of, index_of, manifest_of, said_blobs

MIB = 1 << 20
TOP = "home/mind/model"
CONFIG = {"model_algorithm": "test", "model_type": "Custom"}
MANY = {
    "config.json": CONFIG,
    **{f"part{i % 7}/data-{i:03}.bin": b"%d " % i * (i + 1) for i in range(300)},
    "big/a.ckpt": 64 * MIB, "big/b.ckpt": 65 * MIB + 1, "z.bin": 64 * MIB + 511,
    "almost.bin": 64 * MIB - 1,
    "模型/权重.txt": "中文",
    "deep/" + "directory-of-some-length/" * 12 + "file-at-the-end-of-a-long-path.txt": "far down",
    "n" * 120 + ".txt": "a long name",
    "a.txt": "1", "a/b.txt": "2", "a-b.txt": "3",  # '-' < '.' < '/': the order is by byte
    "empty.txt": "", "no-files-in-here/": None,
}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Old enough for its digests to be trusted: a file can change within the clock's grain."""
    where = write_package(tmp_path_factory.mktemp("many") / "package",
                          {"model/" + path: content for path, content in MANY.items()},
                          modes={"model/a.txt": 0o755, "model/a-b.txt": 0o600, "model/a": 0o700})
    time.sleep(2.1)
    return where


def files_of(where):
    """{path: SHA-256}"""
    return {str(path.relative_to(where)): digest_of(path)
            for path in Path(where).rglob("*") if path.is_file()}


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def import_ready(waybill, base_layout, package, *arguments):
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return import_again(waybill, package, *arguments)


def import_again(waybill, package, *arguments):
    return waybill.run("import", package, "--name", "m", "--json", *arguments, check=True).events


def image_of(waybill, model):
    return json.loads(waybill.run("show", model, "--json", check=True).stdout)


def model_layers(waybill, model="m:0.0.1"):
    return [layer["digest"] for layer in image_of(waybill, model)["layers"]
            if layer["origin"] == "model"]


def blob_names(waybill):
    """Those of images and their layers."""
    return {path.name for path in blobs_of(waybill.data).iterdir()} - said_blobs(waybill.data)


# -- the same bytes --

def copy_of(package, where):
    """The same content; other times, modes, owner and inodes, written in another order."""
    for path in sorted(package.rglob("*"), reverse=True):
        target = where / path.relative_to(package)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", path, target], check=True)
        os.chmod(target, 0o640)
        os.utime(target, (1000000000, 1000000000))
        if os.geteuid() == 0:
            os.chown(target, 1234, 1234)
    return where


def test_two_data_directories_two_times_two_copies(waybill_at, base_layout, many, tmp_path):
    one, two = waybill_at("one"), waybill_at("two")
    first = import_ready(one, base_layout, many)
    time.sleep(1.1)
    second = import_ready(two, base_layout, copy_of(many, tmp_path / "elsewhere"))
    digests = [events[-1]["evidence"]["digest"] for events in (first, second)]
    assert digests[0] == digests[1]
    assert blob_names(one) == blob_names(two)
    assert image_of(one, "m")["image_digest"] == image_of(two, "m")["image_digest"] == digests[0]


def gzipped(base_layout, where):
    """The base with its layer compressed, as registries keep them."""
    shutil.copytree(base_layout, where)
    index = json.loads((where / "index.json").read_text())

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (where / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}
    top = index["manifests"][0]
    manifest = json.loads(Path(blob_path(where, top["digest"])).read_bytes())
    layer = manifest["layers"][0]
    packed = gzip.compress(Path(blob_path(where, layer["digest"])).read_bytes(), mtime=0)
    layer.update(put(packed), mediaType=layer["mediaType"] + "+gzip")
    top.update(put(json.dumps(manifest).encode()))
    (where / "index.json").write_text(json.dumps(index))
    return where


def test_compressed_base_gives_the_same_model_layers(waybill_at, base_layout, package, tmp_path):
    source = package()
    plain, packed = waybill_at("plain"), waybill_at("packed")
    import_ready(plain, base_layout, source)
    import_ready(packed, gzipped(base_layout, tmp_path / "gzipped"), source)
    assert model_layers(plain) == model_layers(packed)
    [base, _] = manifest_of(packed.data, index_of(packed.data)["default/m:0.0.1"])["layers"]
    assert base["mediaType"].endswith("tar+gzip")
    configs = [manifest_of(w.data, manifest_of(w.data, index_of(w.data)["default/m:0.0.1"])
                           ["config"]["digest"]) for w in (plain, packed)]
    assert configs[0] == configs[1], "diff ids are of the uncompressed layers"


# -- once is enough --

def assert_only_image_documents_are_new(waybill, before, model):
    """The version is a label of the image: config and manifest are new, and nothing else."""
    manifest = image_of(waybill, model)["image_digest"].split(":")[1]
    config = manifest_of(waybill.data, "sha256:" + manifest)["config"]["digest"].split(":")[1]
    assert blob_names(waybill) - before == {manifest, config}


def stamps(waybill):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in blobs_of(waybill.data).iterdir()}


def test_import_again_writes_no_layer(waybill, base_layout, many):
    import_ready(waybill, base_layout, many)
    before = stamps(waybill)
    events = import_again(waybill, many)
    [copied] = [event for event in events if event["reason"] == "ModelFilesImported"]
    assert copied["evidence"]["reused_files"] == copied["evidence"]["files"]
    assert copied["evidence"]["reused_bytes"] == copied["evidence"]["bytes"]
    assert model_layers(waybill, "m:0.0.1") == model_layers(waybill, "m:0.0.2")
    assert before.items() <= stamps(waybill).items()
    assert_only_image_documents_are_new(waybill, before.keys(), "m:0.0.2")
    assert_store(waybill)


def test_import_again_reads_no_large_file(waybill, base_layout, many, tmp_path):
    import_ready(waybill, base_layout, many)
    done, read = large_files_read(waybill, many, tmp_path / "trace", "import", many, "--name", "m")
    assert done.returncode == 0, done.stderr
    assert not read


def test_touched_file_is_read_again_but_not_written(waybill, base_layout, many, tmp_path):
    source = tmp_path / "package"
    subprocess.run(["cp", "-a", "--sparse=always", many, source], check=True)
    import_ready(waybill, base_layout, source)
    time.sleep(2.1)
    import_again(waybill, source)  # their ctime was too young to be trusted the first time
    before = blob_names(waybill)
    os.utime(source / "model/z.bin")
    events = import_again(waybill, source)
    [copied] = [event for event in events if event["reason"] == "ModelFilesImported"]
    assert copied["evidence"]["reused_files"] == copied["evidence"]["files"] - 1
    assert model_layers(waybill, "m:0.0.2") == model_layers(waybill, "m:0.0.3")
    assert_only_image_documents_are_new(waybill, before, "m:0.0.3")


def test_file_that_keeps_its_size_and_mtime_is_packed_anew(waybill, base_layout, package):
    """The change time tells: nobody can set it."""
    source = package({"model/weights.bin": b"a" * (65 * MIB)})
    import_ready(waybill, base_layout, source)
    time.sleep(2.1)
    import_again(waybill, source)
    weights = source / "model/weights.bin"
    about = weights.stat()
    with open(weights, "r+b") as file:
        file.write(b"b")
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns))
    import_again(waybill, source)
    old, new = model_layers(waybill, "m:0.0.2"), model_layers(waybill, "m:0.0.3")
    assert len(old) == 2 and len(set(old) & set(new)) == 1, (old, new)


def test_one_changed_file_gives_one_new_layer(waybill, base_layout, many, tmp_path):
    source = tmp_path / "package"
    subprocess.run(["cp", "-a", "--sparse=always", many, source], check=True)
    import_ready(waybill, base_layout, source)
    (source / "model/a.txt").write_text("another")
    import_again(waybill, source)
    old, new = model_layers(waybill, "m:0.0.1"), model_layers(waybill, "m:0.0.2")
    assert len(old) == len(new) and sum(a != b for a, b in zip(old, new)) == 1


# -- what is in a layer --

@pytest.fixture(scope="module")
def imported(tmp_path_factory, many):
    """The package on a base that has a shell: (Waybill, reference for skopeo, umoci, podman)."""
    where = tmp_path_factory.mktemp("imported")
    made = subprocess.run([ROOT / "scripts/make-base-layout", where / "base"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    waybill = Waybill(where / "data")
    import_ready(waybill, where / "base", many)
    return waybill, "%s/images:default/m:0.0.1" % waybill.data


def sort_key(entry):
    return os.fsencode(entry.name) + (b"/" if entry.isdir() else b"")


def test_layers_are_as_the_specification_says(imported, many):
    waybill, _ = imported
    manifest = manifest_of(waybill.data, index_of(waybill.data)["default/m:0.0.1"])
    layers = [layer for layer in manifest["layers"] if "annotations" in layer]
    assert len(layers) == 4, "one shared layer and three of large files"
    found = {}
    for layer in layers:
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
        with tarfile.open(blob_path(waybill.data / "images", layer["digest"])) as tar:
            entries = tar.getmembers()
            keys = [sort_key(entry) for entry in entries]
            assert keys == sorted(set(keys)), "sorted by byte, each once"
            for entry in entries:
                assert_entry(entry)
            assert_directories(entries)
            files = [entry for entry in entries if entry.isfile()]
            note = layer["annotations"].get("io.waybill.file")
            if note:
                assert [entry.name for entry in files] == [f"{TOP}/{note}"]
                assert files[0].size >= 64 * MIB
            else:
                assert layer["annotations"]["io.waybill.files"] == str(len(files))
            for entry in files:
                assert entry.name not in found
                found[entry.name] = hashlib.file_digest(tar.extractfile(entry), "sha256").hexdigest()
    assert found == {f"{TOP}/{path}": digest for path, digest in files_of(many / "model").items()}


def assert_entry(entry):
    assert entry.name == TOP or entry.name.startswith(TOP + "/"), entry.name
    assert (entry.uid, entry.gid, entry.mtime) == (1000, 100, 0), entry.name
    assert entry.isdir() or entry.isfile(), entry.name
    assert entry.mode == (0o755 if entry.isdir() else 0o644), entry.name
    assert set(entry.pax_headers) <= {"path", "size"}, (entry.name, entry.pax_headers)
    plain = entry.name.isascii() and len(entry.name) < 100 and entry.size < 8 << 30
    assert not (plain and entry.pax_headers), "a pax header that is not needed: " + entry.name


def assert_directories(entries):
    """Those of the layer's files and no others: no empty one, nothing above."""
    wanted = set()
    for entry in entries:
        if entry.isfile():
            wanted.update(str(parent) for parent in Path(entry.name).parents)
    assert {entry.name for entry in entries if entry.isdir()} == \
        {name for name in wanted if name.startswith(TOP)}


def test_config_names_the_layers_and_no_time(imported):
    waybill, _ = imported
    manifest = manifest_of(waybill.data, index_of(waybill.data)["default/m:0.0.1"])
    config = manifest_of(waybill.data, manifest["config"]["digest"])
    assert "created" not in config
    assert all("created" not in entry for entry in config.get("history", []))
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert config["config"]["Labels"]["org.opencontainers.image.title"] == "m"
    assert config["config"]["Labels"]["org.opencontainers.image.version"] == "0.0.1"


# -- other people's tools --

def need(tool):
    if not shutil.which(tool):
        pytest.skip(tool + " is not installed")


def test_skopeo_lists_it(imported):
    need("skopeo")
    waybill, reference = imported
    shown = subprocess.run(["skopeo", "inspect", "oci:" + reference], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    listing = json.loads(shown.stdout)
    digest = index_of(waybill.data)["default/m:0.0.1"]
    assert listing["Digest"] == digest
    assert listing["Layers"] == [layer["digest"]
                                 for layer in manifest_of(waybill.data, digest)["layers"]]


def test_umoci_unpacks_every_file_as_it_was(imported, many, tmp_path):
    need("umoci")
    _, reference = imported
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    unpacked = subprocess.run(["umoci", "unpack", *rootless, "--image", reference, tmp_path / "bundle"],
                              capture_output=True, text=True)
    try:
        assert unpacked.returncode == 0, unpacked.stderr
        assert files_of(tmp_path / "bundle/rootfs" / TOP) == files_of(many / "model")
    finally:
        shutil.rmtree(tmp_path / "bundle", ignore_errors=True)


def test_podman_finds_every_file_as_it_was(imported, many):
    need("podman")
    waybill, reference = imported
    # podman takes no long path, and makes a name of that of a layout, which has its own rules.
    where = Path("/tmp/wb-" + secrets.token_hex(4))
    where.mkdir()
    images = shutil.copytree(waybill.data / "images", where / "images")
    store = ["--root", where / "root", "--runroot", where / "run"]
    run = ["podman", *store, "run", "--rm", "--runtime", "runc", "--cgroup-manager", "cgroupfs",
           "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000",
           f"oci:{images}:" + reference.split(":", 1)[1], "sh", "-c", f"cd /{TOP} && find . -type f -exec sha256sum {{}} +"]
    environment = {key: value for key, value in os.environ.items() if key != "WAYBILL"}
    try:
        done = subprocess.run(run, capture_output=True, text=True, env=environment, timeout=300)
        if done.returncode != 0:
            pytest.skip("podman runs no container here: " + done.stderr.strip()[-300:])
        found = dict(reversed(line.split("  ./", 1)) for line in done.stdout.splitlines())
        assert found == files_of(many / "model")
    finally:
        subprocess.run(["podman", *store, "system", "reset", "--force"], capture_output=True)
        if os.geteuid() != 0:  # files of other users of its own namespace
            subprocess.run(["podman", "unshare", "rm", "-rf", where], capture_output=True)
        shutil.rmtree(where, ignore_errors=True)
