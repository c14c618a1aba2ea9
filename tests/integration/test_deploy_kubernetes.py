"""deploy/kubernetes: every object by the API's JSON schemas, what Pod Security would say, and that the
parts fit each other."""
import json
import shutil
import subprocess

import pytest
import yaml

from conftest import ROOT
from kustomize import containers, identity, render

MANIFESTS = ROOT / "deploy/kubernetes"
DIRECTORIES = ["base/api", "base/worker", "overlays/example", "overlays/no-builds"]
CHECK = ROOT / "tests/kubernetes"
TSC = ROOT / "console/node_modules/.bin/tsc"


def check(objects, where):
    """What is wrong with them, lines."""
    where.mkdir(exist_ok=True)
    if not (where / "node_modules").exists():
        (where / "node_modules").symlink_to(CHECK / "node_modules")
    done = subprocess.run(["node", CHECK / "check.mjs", where / "objects.ts"], input=json.dumps(objects),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1) and not done.stderr, done
    types = subprocess.run([TSC, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module",
                            "esnext", "--moduleResolution", "bundler", where / "objects.ts"],
                           capture_output=True, text=True, timeout=120)
    return done.stdout + types.stdout


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_manifests_are_what_the_api_takes(directory, tmp_path):
    assert check(render(MANIFESTS / directory), tmp_path / "check") == ""


def test_the_check_finds_faults(tmp_path):
    """A field that there is not, one of the wrong type, one that is missing."""
    def broken(change):
        [deployment] = [thing for thing in render(MANIFESTS / "base/api") if thing["kind"] == "Deployment"]
        change(deployment["spec"])
        return check([deployment], tmp_path / "check")

    assert "replica" in broken(lambda spec: spec.update(replica=2))
    assert "readynessProbe" in broken(
        lambda spec: spec["template"]["spec"]["containers"][0].update(readynessProbe={}))
    assert "/spec/replicas" in broken(lambda spec: spec.update(replicas="two"))
    assert "selector" in broken(lambda spec: spec.pop("selector"))


def test_every_file_is_used():
    used = set()
    for path in MANIFESTS.rglob("kustomization.yaml"):
        asked = yaml.safe_load(path.read_text())
        names = asked["resources"] + [patch["path"] for patch in asked.get("patches", [])]
        used |= {path} | {(path.parent / name).resolve() for name in names}
    assert {path for path in MANIFESTS.rglob("*.yaml")} <= used


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_kubectl_renders_the_same(directory):
    version = shutil.which("kubectl") and subprocess.run(
        ["kubectl", "version", "--client"], capture_output=True, text=True).stdout
    if not version or "Kustomize Version: v5" not in version:
        pytest.skip("no kubectl with kustomize 5 is installed")
    done = subprocess.run(["kubectl", "kustomize", MANIFESTS / directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = {identity(thing): thing for thing in yaml.safe_load_all(done.stdout)}
    assert theirs == {identity(thing): thing for thing in render(MANIFESTS / directory)}


def violations(pod):
    """What Pod Security's profile `restricted` forbids, as far as these manifests could."""
    outer = pod.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    found += [name for volume in pod["volumes"] for name in volume
              if name not in ("name", "configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim")]
    for container in pod["containers"]:
        inner = container.get("securityContext", {})
        def both(key):
            return inner.get(key, outer.get(key))
        found += ["privileged"] if inner.get("privileged") else []
        found += ["runAsNonRoot"] if both("runAsNonRoot") is not True or both("runAsUser") == 0 else []
        found += ["seccompProfile"] if both("seccompProfile") != {"type": "RuntimeDefault"} else []
        found += ["escalation"] if inner.get("allowPrivilegeEscalation") is not False else []
        found += ["capabilities"] if inner.get("capabilities") != {"drop": ["ALL"]} else []
        found += ["hostPort"] if any("hostPort" in port for port in container.get("ports", [])) else []
    return found


@pytest.mark.parametrize("directory", ["overlays/example", "overlays/no-builds"])
def test_pods_keep_to_what_their_namespace_permits(directory):
    things = render(MANIFESTS / directory)
    profiles = {thing["metadata"]["name"]: thing["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
                for thing in things if thing["kind"] == "Namespace"}
    pods = {thing["metadata"]["name"]: (thing["metadata"]["namespace"], thing["spec"]["template"]["spec"])
            for thing in things if thing["kind"] == "Deployment"}
    assert set(pods) == {"waybill-api", "waybill-worker"}
    for namespace, pod in pods.values():
        assert profiles[namespace] == ("privileged" if violations(pod) else "restricted")
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "memory" in container["resources"]["requests"] and "memory" in container["resources"]["limits"]
    assert not violations(pods["waybill-api"][1])
    assert bool(violations(pods["waybill-worker"][1])) == (directory == "overlays/example")


def test_the_parts_fit_each_other():
    things = render(MANIFESTS / "overlays/example")
    have = {identity(thing) for thing in things}
    for thing in things:
        namespace = thing["metadata"].get("namespace")
        if thing["kind"] == "Deployment":
            pod, labels = thing["spec"]["template"]["spec"], thing["spec"]["template"]["metadata"]["labels"]
            assert thing["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert ("ServiceAccount", namespace, pod["serviceAccountName"]) in have
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    assert ("ConfigMap", namespace, volume["configMap"]["name"]) in have
                if "secret" in volume:
                    assert ("Secret", namespace, volume["secret"]["secretName"]) in have
            for container in containers(thing):
                for source in container["envFrom"]:
                    assert ("Secret", namespace, source["secretRef"]["name"]) in have
                assert {mount["name"] for mount in container["volumeMounts"]} == \
                    {volume["name"] for volume in pod["volumes"]}
        selector = thing["spec"].get("podSelector", thing["spec"].get("selector")) if "spec" in thing else None
        if selector and thing["kind"] != "Deployment":
            wanted = selector.get("matchLabels", selector).items()
            assert [pod for pod in things if pod["kind"] == "Deployment" and
                    pod["metadata"]["namespace"] == namespace and
                    wanted <= pod["spec"]["template"]["metadata"]["labels"].items()], identity(thing)


@pytest.mark.parametrize("directory", ["base/api", "overlays/example"])
def test_waybill_takes_the_settings(directory, waybill, tmp_path):
    [settings] = {thing["data"]["waybill.conf"] for thing in render(MANIFESTS / directory)
                  if thing["kind"] == "ConfigMap"}
    (tmp_path / "waybill.conf").write_text(settings)
    # Nobody is at that address: 3 is a store that is not reached; 2 would be a fault in the settings.
    result = waybill.run("--config-file", tmp_path / "waybill.conf", "models", "--set",
                         "store.url=postgresql://waybill@127.0.0.1:1/waybill")
    assert result.returncode == 3, str(result)
    (tmp_path / "waybill.conf").write_text(settings.replace("public_url", "public_uri").replace("listen", "lissen"))
    result = waybill.run("--config-file", tmp_path / "waybill.conf", "models")
    assert result.returncode == 2, str(result)
