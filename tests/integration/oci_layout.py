"""Writes small OCI image layouts (image-spec, image-layout.md) and breaks them on purpose.

Deterministic: equal entries give equal digests. Used by the tests and by scripts/make-base-layout.
"""
import hashlib
import io
import json
import os
import platform
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"

USERS = "root:x:0:0::/:/bin/sh\nma-user:x:1000:100::/home/mind:/bin/sh\n"
GROUPS = "root:x:0:\nma-group:x:100:\n"


def host_platform():
    machine = platform.machine()
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def entry(name, data=None, link=None, mode=0o755, owner=(0, 0)):
    """A file with its data, a symbolic link, or (neither given) a directory."""
    info = tarfile.TarInfo(name)
    info.mode, (info.uid, info.gid) = mode, owner
    if link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, link
    elif data is None:
        info.type = tarfile.DIRTYPE
    else:
        data = data.encode() if isinstance(data, str) else data
        info.size = len(data)
    return info, data


def tar_of(entries):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if info.isfile() else None)
    return raw.getvalue()


def write_layout(where, entries, config, platforms=None, tag="latest"):
    """A layout of one image with one layer. With several platforms: an image index of them."""
    blobs = os.path.join(where, "blobs", "sha256")
    os.makedirs(blobs)

    def blob(data, media_type):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    layer = blob(tar_of(entries), LAYER)
    manifests = []
    for name in platforms or [host_platform()]:
        system, architecture = name.split("/")
        described = blob({
            "architecture": architecture, "os": system, "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}, CONFIG)
        manifest = blob({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [layer]},
            MANIFEST)
        manifests.append(dict(manifest, platform={"os": system, "architecture": architecture}))
    top = manifests[0]
    if len(manifests) > 1:
        top = blob({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, INDEX)
    top["annotations"] = {REF_NAME: tag}
    with open(os.path.join(where, "oci-layout"), "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(where, "index.json"), "w") as file:
        json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}, file)


def make_layers(where, count):
    """An image of so many layers, each with a file of its own."""
    write_layout(where, [entry("etc/passwd", USERS, mode=0o644)], {"Cmd": ["sh"]})
    blobs = os.path.join(where, "blobs", "sha256")
    paths = image_blobs(where)
    with open(paths["manifest"]) as file:
        manifest = json.load(file)
    with open(paths["config"]) as file:
        config = json.load(file)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}
    for number in range(count - 1):
        layer = dict(blob(tar_of([entry("file%d" % number, str(number))])), mediaType=LAYER)
        manifest["layers"].append(layer)
        config["rootfs"]["diff_ids"].append(layer["digest"])
    manifest["config"] |= blob(json.dumps(config).encode())
    top = dict(blob(json.dumps(manifest).encode()), mediaType=MANIFEST,
               annotations={REF_NAME: "latest"})
    with open(os.path.join(where, "index.json"), "w") as file:
        json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}, file)


def make_base(where, platforms=None):
    """The smallest image that can be a base or a custom image: it has a user and a command."""
    write_layout(where, [
        entry("etc/passwd", USERS, mode=0o644),
        entry("home/mind/run.sh", "#!/bin/sh\n"),
    ], {"Cmd": ["sh", "/home/mind/run.sh"], "ExposedPorts": {"8080/tcp": {}}}, platforms)


def blob_path(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def image_blobs(layout):
    """The paths of the first image's manifest, config and (only) layer."""
    with open(os.path.join(layout, "index.json")) as file:
        manifest = blob_path(layout, json.load(file)["manifests"][0]["digest"])
    with open(manifest) as file:
        content = json.load(file)
    return {"manifest": manifest, "config": blob_path(layout, content["config"]["digest"]),
            "layer": blob_path(layout, content["layers"][0]["digest"])}


def damage(layout, what):
    """{"layer" | "config" | "manifest" | "index.json" | "oci-layout":
        "missing" | "flipped" (its first byte) | "garbage" (of another size)}"""
    paths = image_blobs(layout)
    for which, how in what.items():
        path = paths.get(which) or os.path.join(layout, which)
        if how == "missing":
            os.unlink(path)
            continue
        with open(path, "r+b") as file:
            data = file.read()
            file.seek(0)
            if how == "garbage":
                file.truncate(0)
            file.write(b"not what it was" if how == "garbage" else bytes([data[0] ^ 255]))
