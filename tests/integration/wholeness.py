"""What must hold of a timeline and of a data directory, whatever happened to the processes that
worked on them. Looked at with Python alone: the program is not asked whether it is right."""
import collections
import hashlib
import json
import os
from pathlib import Path

CLOSING = ("ModelImported", "ImportFailed")
# Events that an attempt may show more than once. ImageBuildStatus counts by its status.
REPEATABLE = {"SystemUpgrading", "ImportResumed", "ConfigValueInvalid", "ModelFilesCopyFailed", "ModelFileTooLarge"}
DATA_FILES = {"sandbox", "unpacked", "secret.key", "waybill.db", "waybill.db-wal", "waybill.db-shm", "images", "leases", "lock", "reserve",
              "run", "uploads"}
IMAGES_FILES = {"blobs", "index.json", "oci-layout", "tmp", "partial", ".index.lock", ".gc.lock"}


def event_name(event):
    status = event["params"].get("status")
    return event["reason"] + ("(%s)" % status if status else "")


def event_names(events):
    return [event_name(event) for event in events]


def assert_timeline(events):
    """Of a model whose last attempt has ended: nothing is lost, nothing is doubled."""
    shown = "\n".join("%3d  attempt %d  %-12s %s" % (
        event["seq"], event["attempt"], event["stage"], event_name(event)) for event in events)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), \
        "seq is not dense from 1:\n" + shown
    times = [event["occur_time"] for event in events]
    assert times == sorted(times), "occur_time falls:\n" + shown
    # Updates that rebuild nothing belong to no attempt.
    attempts = [event["attempt"] for event in events if event["attempt"]]
    assert attempts == sorted(attempts) and set(attempts) == set(range(1, attempts[-1] + 1)), \
        "attempts are not 1, 2, … in their order:\n" + shown
    for attempt in range(1, attempts[-1] + 1):
        assert_attempt([event for event in events if event["attempt"] == attempt], shown)


def assert_attempt(events, shown):
    names = event_names(events)
    if names[0] == "DependenciesUpdated":  # the update that a rebuild begins with
        names.pop(0)
    begun = [name for name in names if name != "SystemUpgrading"]  # which may precede it
    assert begun[0] == "ImportStarted", "an attempt begins with %s:\n%s" % (names[0], shown)
    assert names[-1] in CLOSING, "an attempt ends with %s:\n%s" % (names[-1], shown)
    assert sum(name in CLOSING for name in names) == 1, "not one closing event:\n" + shown
    doubled = [name for name, count in collections.Counter(names).items()
               if count > 1 and name not in REPEATABLE]
    assert not doubled, "doubled: %s\n%s" % (doubled, shown)


def blobs_of(data):
    return Path(data) / "images" / "blobs" / "sha256"


def index_of(data):
    """{ref.name: digest}"""
    index = json.loads((Path(data) / "images" / "index.json").read_text())
    names = [entry["annotations"]["org.opencontainers.image.ref.name"]
             for entry in index["manifests"]]
    assert len(names) == len(set(names)), "a name stands twice in index.json: %s" % names
    return {name: entry["digest"] for name, entry in zip(names, index["manifests"])}


def manifest_of(data, digest):
    return json.loads((blobs_of(data) / digest.split(":")[1]).read_bytes())


def said_of(data, images):
    """The digests of the manifests that refer to one of these images."""
    found = set()
    for path in blobs_of(data).iterdir():
        content = path.read_bytes() if path.stat().st_size < 1 << 16 else b""
        if b'"subject":{' in content and content.startswith(b'{"artifactType"'):
            if json.loads(content)["subject"]["digest"] in images:
                found.add("sha256:" + path.name)
    return found


def said_blobs(data):
    """The file names of the blobs that are said of images: the time of an import stands in them."""
    found = set()
    for digest in said_of(data, set(index_of(data).values())):
        manifest = manifest_of(data, digest)
        found |= {digest, manifest["config"]["digest"], *(blob["digest"] for blob in manifest["layers"])}
    return {digest.split(":")[1] for digest in found}


def referenced(data):
    """The file names of the blobs that index.json leads to, and of what is said of its images."""
    found = set()
    images = set(index_of(data).values())
    for digest in images | said_of(data, images):
        manifest = manifest_of(data, digest)
        found.add(digest)
        found.update(blob["digest"] for blob in [manifest["config"], *manifest["layers"]])
    return {digest.split(":")[1] for digest in found}


def assert_blobs_whole(data):
    for path in sorted(blobs_of(data).iterdir()):
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        assert found == path.name, "blob %s holds %s" % (path.name, found)


def assert_no_stray_file(data):
    data = Path(data)
    assert {path.name for path in data.iterdir()} <= DATA_FILES, os.listdir(data)
    assert {path.name for path in (data / "images").iterdir()} <= IMAGES_FILES, \
        os.listdir(data / "images")
    assert os.listdir(data / "images" / "tmp") == [], "left in tmp/"
    stray = {path.name for path in blobs_of(data).iterdir()} ^ referenced(data)
    assert not stray, "stored but not referenced, or the reverse: %s" % sorted(stray)


def assert_store(waybill):
    """After upkeep nothing is damaged and nothing is left over."""
    waybill.run("verify", check=True)
    waybill.run("gc", check=True)
    assert_blobs_whole(waybill.data)
    assert_no_stray_file(waybill.data)
