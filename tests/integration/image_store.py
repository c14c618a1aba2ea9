"""What the tests of images.url share: Waybill whose images a registry keeps, a real one (`kept`) or the
tests' own that refuses what it is told to (`refusing`)."""
import json
import os
import urllib.request

import pytest

from upload_registry import UploadRegistry
from wholeness import event_names

LARGE = 64 << 20  # from here on a file has a layer of its own


def keep_in(waybill, registry, namespace):
    waybill.environment["WAYBILL_IMAGES_URL"] = (
        f"{registry.scheme or 'registry://'}{registry.host}/{namespace}")
    return waybill


@pytest.fixture
def kept(waybill, base_layout, registry_at, tmp_path):
    """Waybill whose images a registry keeps, and a runtime."""
    registry = registry_at()
    keep_in(waybill, registry, f"n{os.urandom(4).hex()}/models")
    waybill.registry = registry
    waybill.namespace = waybill.environment["WAYBILL_IMAGES_URL"].split("/", 3)[3]
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    return waybill


def get(registry, path, accept="application/vnd.oci.image.manifest.v1+json"):
    request = urllib.request.Request(f"http://{registry.host}/v2/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def manifest_at(waybill, place):
    headers, body = get(waybill.registry, f"{waybill.namespace}/{place[0]}/manifests/{place[1]}")
    return headers["Docker-Content-Digest"], json.loads(body)


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def local_blobs(waybill):
    """Bytes of what lies in the layout."""
    return sum(path.stat().st_size for path in (waybill.data / "images/blobs/sha256").iterdir())


def small_and_large(package, name="digits"):
    folder = package(name=name)
    with open(folder / "model/large.bin", "wb") as file:
        file.write(os.urandom(1 << 20) * (LARGE >> 20))
    return folder


@pytest.fixture
def refusing(waybill, base_layout):
    """refusing({…}): a runtime is there; then its registry refuses that."""
    with UploadRegistry() as registry:
        waybill.environment |= {"WAYBILL_IMAGES_URL": f"{registry.reference}/team/models",
                                "WAYBILL_REGISTRY_RETRIES": "1", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "1"}
        waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
        waybill.registry = registry

        def refuse(what):
            registry.refuse = what
            return waybill
        yield refuse


def ended(waybill, *arguments, built=False):
    """The event that ended an import; built: its image was built all the same."""
    done = waybill.run("import", *arguments, "--json")
    assert done.returncode == 1, str(done)
    [cause] = [event for event in done.events if event["seq"] == done.events[-1]["cause"]]
    assert ("ImageBuilt" in event_names(done.events)) == built
    return cause
