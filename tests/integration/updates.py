"""Models to update, and what an update makes of them."""
import json

import pytest

from conftest import ROOT

MIB = 1 << 20
TEXTS = {row["reason"]: row for row in json.loads((ROOT / "tests/data/events.json").read_text())}
REBUILT = ["ImportStarted", "ImageBuildRequested", "ImageBuildStatus(queued)", "ImageBuildStarted",
           "ImageBuildStatus(running)", "ImageBuilt", "ImageBuildStatus(succeeded)",
           "ModelImported"]
NO_SANDBOX = ["ImportStarted", "EnvImageBuildRequested", "EnvImageExplained", "BuildStartFailed",
              "ImageBuildStatus(failed)", "ImportFailed"]


def pip(*names, installer="pip"):
    return [{"installer": installer, "packages": [dependency(name) for name in names]}]


def dependency(text):
    for sign, restraint in (("==", "EXACT"), (">=", "ATLEAST"), ("<=", "ATMOST")):
        name, found, version = text.partition(sign)
        if found:
            return {"package_name": name, "package_version": version, "restraint": restraint}
    return {"package_name": text}


@pytest.fixture
def model(ready, package):
    """The imported model m:0.0.1."""
    ready.run("import", package(), "--name", "m", check=True)
    return ready


@pytest.fixture
def update(model, tmp_path):
    """update(dependencies, …) runs `waybill update m --dependencies FILE …`."""
    def run(dependencies, *arguments, **options):
        file = tmp_path / "dependencies.json"
        file.write_text(dependencies if isinstance(dependencies, str) else json.dumps(dependencies))
        return model.run("update", "m", "--dependencies", file, *arguments, **options)
    return run


def timeline(waybill, name="m"):
    return waybill.run("events", name, "--json", check=True).events


def details(waybill, name="m"):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def assert_texts(event):
    row = TEXTS[event["reason"]]
    assert (event["event_info"], event["event_info_cn"]) == (row["en"], row["zh"])
    assert event["event_type"] == row["type"] and event["stage"] == row["stage"] == "update"
    assert event["solution"] is None and event["solution_cn"] is None
