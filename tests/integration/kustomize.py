"""The part of kustomize that deploy/kubernetes uses: resources, namespace, images, and patches that are
merged (lists of objects by their `name`, others replaced). Anything else is an error. kubectl does the
same where there is one; Debian's is too old for directories as resources."""
import copy
from pathlib import Path

import yaml

KEYS = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
CLUSTER = {"Namespace"}  # kinds without a namespace


def documents(path):
    return [found for found in yaml.safe_load_all(Path(path).read_text()) if found]


def identity(thing):
    return thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]


def merge(old, new):
    if isinstance(old, dict) and isinstance(new, dict):
        merged = dict(old)
        for key, value in new.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(old[key], value) if key in old else copy.deepcopy(value)
        return merged
    named = isinstance(old, list) and isinstance(new, list) and new and \
        all(isinstance(item, dict) and "name" in item for item in old + new)
    if not named:
        return copy.deepcopy(new)
    patches = {item["name"]: item for item in new}
    merged = [merge(item, patches.pop(item["name"], {})) for item in old]
    return merged + list(patches.values())


def is_target(thing, patch, target):
    if target:
        return all({"kind": thing["kind"], **thing["metadata"]}.get(key) == value
                   for key, value in target.items())
    return identity(thing) == identity(patch)


def apply_patch(things, where, entry):
    assert set(entry) <= {"path", "target"}, entry
    [patch] = documents(where / entry["path"])
    hits = [thing for thing in things if is_target(thing, patch, entry.get("target"))]
    assert hits, f"{entry} of {where} fits nothing"
    if entry.get("target"):  # it says which, not the patch
        patch = dict(patch, metadata={})
    return [merge(thing, patch) if thing in hits else thing for thing in things]


def containers(thing):
    spec = thing.get("spec", {}).get("template", {}).get("spec", {})
    return spec.get("initContainers", []) + spec.get("containers", [])


def render(where):
    """The objects of a directory with a kustomization.yaml."""
    where = Path(where)
    [asked] = documents(where / "kustomization.yaml")
    assert set(asked) <= KEYS, f"{where}: {set(asked) - KEYS} is not understood here"
    things = []
    for name in asked.get("resources", []):
        path = where / name
        assert path.exists(), f"{where / 'kustomization.yaml'} names {name}, which is not there"
        things += render(path) if path.is_dir() else documents(path)
    for entry in asked.get("patches", []):
        things = apply_patch(things, where, entry)
    for thing in things:
        if "namespace" in asked:
            thing["metadata"]["name" if thing["kind"] in CLUSTER else "namespace"] = asked["namespace"]
        for container in containers(thing):
            for image in asked.get("images", []):
                if container["image"].split(":")[0] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    identities = [identity(thing) for thing in things]
    assert len(set(identities)) == len(identities), f"{where}: something is there twice: {identities}"
    return things
