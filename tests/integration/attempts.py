"""A model's attempts, as its timeline and the list of models show them."""
import json
import os

from wholeness import assert_timeline, event_names

BUILT = ["ImageBuildRequested", "ImageBuildStatus(queued)", "ImageBuildStarted",
         "ImageBuildStatus(running)", "ImageBuilt", "ImageBuildStatus(succeeded)", "ModelImported"]
SOUND = ["ImportStarted", "ModelSizeCalculated", "ModelFilesImported", *BUILT]


def timeline(waybill, model="m"):
    return waybill.run("events", model, "--json", check=True).events


def attempt(waybill, number, model="m"):
    """Names of its events; the whole timeline must be sound."""
    events = timeline(waybill, model)
    assert_timeline(events)
    return event_names(event for event in events if event["attempt"] == number)


def models(waybill):
    return [json.loads(line) for line in
            waybill.run("models", "--json", check=True).stdout.splitlines()]


def state(waybill):
    """All that an import may change."""
    blobs = {blob.name for blob in waybill.data.glob("images/blobs/*/*")}
    return timeline(waybill), blobs, models(waybill)


def write_at(path, offset, data):
    """In place, and as if nothing had been written: size and mtime stay."""
    about = path.stat()
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
