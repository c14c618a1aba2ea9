"""What model files import and lack, told while their bytes pass: real pickles of Python, numpy, joblib and
scikit-learn, archives as torch.save writes them, headers of GGUF, safetensors and ONNX built by hand."""
import bz2
import collections
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest

from attempts import SOUND
from corpus_runner import assert_answered
from image_store import kept  # noqa: F401
from radosgw import bucket, rgw  # noqa: F401
from registries import auth_file, registry_at  # noqa: F401
from wholeness import event_names

LARGE = 64 << 20


class Call:
    """Pickles as the call of a function, which loading it makes."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Own:
    """A class that no list has."""


EVIL = pickle.dumps(Call(os.system, "true"))
OWN = pickle.dumps(Own())
SYSTEM = os.system.__module__ + ".system"
# What torch.save writes of a state_dict, by hand.
STATE = (b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00wctorch._utils\n"
         b"_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
         b"X\x03\x00\x00\x00cpuK\x04tQK\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu.")


class Stream(io.RawIOBase):
    """Where nothing can be written again: sizes then stand behind the members, as torch.save has it."""

    def __init__(self):
        self.bytes = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.bytes += data
        return len(data)


def archive(members, behind=True, method=zipfile.ZIP_STORED):
    out = Stream() if behind else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return bytes(out.bytes if behind else out.getvalue())


def torch_file(pickled, data=b"", **options):
    return archive({"archive/data.pkl": pickled, "archive/byteorder": "little", "archive/data/0": data,
                    "archive/version": "3\n"}, **options)


def safetensors(tensors, data, behind=b""):
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + data + behind


SAFE = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [16, 20]}, "__metadata__": {"format": "pt"}}


def gguf_text(text):
    return struct.pack("<Q", len(text)) + text


def gguf(alignment=32):
    keys = [gguf_text(b"general.name") + struct.pack("<I", 8) + gguf_text(b"m"),
            gguf_text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + gguf_text(b"a") + gguf_text(b""),
            gguf_text(b"scores") + struct.pack("<IIQ", 9, 6, 3) + bytes(12),
            gguf_text(b"general.alignment") + struct.pack("<II", 4, alignment)]
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, len(keys)) + b"".join(keys)
    head += gguf_text(b"t0") + struct.pack("<IQQIQ", 2, 64, 32, 0, 0)  # F32
    head += gguf_text(b"t1") + struct.pack("<IQIQ", 1, 256, 12, 8192)  # Q4_K
    return head + bytes(-len(head) % alignment) + bytes(8192 + 144)


def varint(number):
    out = b""
    while True:
        out += bytes([number & 127 | (128 if number > 127 else 0)])
        number >>= 7
        if not number:
            return out


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(location=None, offset=0, length=0):
    if not location:
        return varint(1 << 3) + varint(4) + field(9, bytes(1000))
    entries = {"location": location, "offset": str(offset), "length": str(length)}
    return b"".join(field(13, field(1, key.encode()) + field(2, value.encode()))
                    for key, value in entries.items()) + varint(14 << 3) + varint(1)


def onnx(*tensors):
    return varint(8) + varint(8) + field(7, b"".join(field(5, one) for one in tensors) + field(2, b"g"))


def told(result, reason):
    return [event for event in result.events if event["reason"] == reason]


def imported(ready, package, name="m", status=0, args=(), **files):
    folder = package({f"model/{path.replace('__', '.')}": content for path, content in files.items()})
    result = ready.run("import", folder, "--name", name, "--json", *args)
    assert result.returncode == status, str(result)
    return result


def one(result, reason):
    [event] = told(result, reason)
    return event


# -- pickles --

@pytest.mark.parametrize("protocol", range(6))
def test_what_a_pickle_imports_is_named(ready, package, protocol):
    content = pickle.dumps({"a": [1, 2.5, b"x", {3}], "o": collections.OrderedDict(), "call": Call(os.system, "x")},
                           protocol=protocol)
    done = imported(ready, package, net__pkl=content)
    event = one(done, "PickleImportsFound")
    assert_answered(ready, event)
    assert (event["kind"], event["event_type"], event["stage"]) == ("dangerous", "hint", "copy")
    assert event["evidence"]["file"] == "model/net.pkl" and event["evidence"]["format"] == "pickle"
    assert event["evidence"]["imports"] == event["evidence"]["dangerous"] == [SYSTEM]
    assert event["evidence"]["count"] == 1
    assert done.reasons[-1] == "ModelImported"


def test_what_frameworks_write_is_not_told(ready, package, tmp_path):
    joblib = pytest.importorskip("joblib")
    numpy = pytest.importorskip("numpy")
    forest = pytest.importorskip("sklearn.ensemble").RandomForestClassifier(n_estimators=3)
    points = numpy.random.default_rng(1).random((50, 3))
    forest.fit(points, points[:, 0] > 0.5)
    for compress in (0, 3, ("gzip", 3)):
        joblib.dump(forest, tmp_path / f"forest-{compress if isinstance(compress, int) else 'gz'}", compress=compress)
    done = imported(ready, package, plain__joblib=(tmp_path / "forest-0").read_bytes(),
                    zlib__joblib=(tmp_path / "forest-3").read_bytes(), gzip__joblib=(tmp_path / "forest-gz").read_bytes(),
                    forest__pkl=pickle.dumps(forest), points__pkl=pickle.dumps(points, 5), state__pt=torch_file(STATE, os.urandom(5000)))
    assert event_names(done.events) == SOUND


def test_an_import_behind_the_arrays_of_joblib(ready, package, tmp_path):
    joblib = pytest.importorskip("joblib")
    numpy = pytest.importorskip("numpy")
    joblib.dump({"a": numpy.arange(5000.), "f": numpy.asfortranarray(numpy.ones((3, 4), dtype="f4")),
                 "o": numpy.array(["x", {1: 2}], dtype=object), "s": numpy.array(["ab"]), "e": numpy.zeros((0, 3)),
                 "t": numpy.zeros(3, dtype=[("x", "f8"), ("y", "i4")]),
                 "call": Call(subprocess.call, ["x"])}, tmp_path / "x")
    done = imported(ready, package, m__joblib=(tmp_path / "x").read_bytes())
    event = one(done, "PickleImportsFound")
    assert_answered(ready, event)
    assert event["evidence"]["imports"] == ["subprocess.call"]
    assert "unread" not in event["evidence"]


@pytest.mark.parametrize("behind", [False, True], ids=["sizes-before", "sizes-behind"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflate"])
def test_a_pickle_in_an_archive(ready, package, behind, method):
    data = os.urandom(3000) + b"PK\x07\x08" + os.urandom(3000)
    done = imported(ready, package, net__pt=torch_file(EVIL, data, behind=behind, method=method))
    event = one(done, "PickleImportsFound")
    assert_answered(ready, event)
    assert event["evidence"]["member"] == "archive/data.pkl"
    assert event["evidence"]["imports"] == [SYSTEM] and "unread" not in event["evidence"]
    assert event["evidence"]["format"] == "zip"


@pytest.mark.parametrize("what", ["zip-in-zip", "two-streams", "nested", "gzip", "zlib", "npy", "npz", "legacy-torch", "protocol-0-in-any-file"])
def test_wherever_it_is_hidden(ready, package, what):
    numpy = pytest.importorskip("numpy")
    objects, names = io.BytesIO(), {}
    if what.startswith("np"):
        array = numpy.array([Call(os.system, "x")], dtype=object)
        (numpy.save if what == "npy" else numpy.savez_compressed)(objects, array)
    content = {"zip-in-zip": lambda: archive({"a/b.pt": torch_file(EVIL)}, behind=False),
               "two-streams": lambda: pickle.dumps(1) + pickle.dumps("x") + EVIL,
               "nested": lambda: pickle.dumps([pickle.dumps({"x": EVIL})]),
               "gzip": lambda: gzip.compress(EVIL), "zlib": lambda: zlib.compress(EVIL),
               "npy": objects.getvalue, "npz": objects.getvalue,
               "legacy-torch": lambda: pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2)
               + pickle.dumps(Call(os.system, "x"), 2) + os.urandom(999),
               "protocol-0-in-any-file": lambda: b"cos\nsystem\n(S'x'\ntR."}[what]()
    done = imported(ready, package, weights__dat=content, **names)
    event = one(done, "PickleImportsFound")
    assert event["kind"] == "dangerous" and event["evidence"]["dangerous"][0].endswith(".system")


def test_classes_of_ones_own_are_unlisted(ready, package):
    event = one(imported(ready, package, own__pkl=OWN), "PickleImportsFound")
    assert_answered(ready, event)
    assert event["kind"] == "unlisted" and event["evidence"]["imports"] == ["test_scan.Own"]
    assert "dangerous" not in event["evidence"]


def test_names_that_are_not_written_out(ready, package):
    # STACK_GLOBAL of a number; an escape in the name; an extension of copyreg.
    done = imported(ready, package, a__pkl=b"\x80\x04\x8c\x02osK\x01\x93\x8c\x01x\x85R.",
                    b__pkl=b"\x80\x04S'o\\x73'\nS'system'\n\x93.", c__pkl=b"\x80\x02\x82\x05)R.")
    names = {event["evidence"]["file"]: event["evidence"]["imports"] for event in told(done, "PickleImportsFound")}
    assert names == {"model/a.pkl": ["os.?"], "model/b.pkl": ["?.system"], "model/c.pkl": ["copyreg.extension-5"]}


def test_files_that_only_look_like_it_say_nothing(ready, package):
    done = imported(ready, package, zeros__bin=100000, readme__md="# c\nimport os\nos.system('x')\n", c__txt="cat\ndog\n(mouse",
                    json__json={"a": 1}, noise__bin=b"\x80\x02" + bytes(range(256)) * 50, one__txt="N.", plain__zip=archive({"a.txt": "x", "b/": ""}))
    assert event_names(done.events) == SOUND


def test_many_files_are_told_of_in_few_events(ready, package):
    files = {f"f{i:02}__pkl": OWN for i in range(30)} | {"z__pkl": EVIL}
    events = told(imported(ready, package, **files), "PickleImportsFound")
    assert len(events) == 11
    assert events[0]["kind"] == "dangerous" and events[0]["params"]["file"] == "model/z.pkl" and "more" not in events[0]["evidence"]
    assert events[-1]["evidence"]["more"] == 20 and len(events[-1]["evidence"]["files"]) == 20
    assert_answered(ready, events[-1])


def test_many_imports_are_counted(ready, package):
    content = b"\x80\x04(" + b"".join(b"cown\nName%d\n" % i for i in range(50)) + b"t."
    event = one(imported(ready, package, a__pkl=content), "PickleImportsFound")
    assert event["evidence"]["count"] == 50 and len(event["evidence"]["imports"]) == 20
    assert event["params"]["imports"].endswith("own.Name4 (+45)")


def hidden_member():
    """An archive whose directory points into a member: the front and the directory differ."""
    whole = bytearray(torch_file(STATE, b"x" * 99, behind=False))
    entry = bytes(whole).rindex(b"PK\x01\x02")
    whole[entry + 42:entry + 46] = struct.pack("<I", 50)
    return bytes(whole)


@pytest.mark.parametrize("content", [lambda: pickle.dumps([collections.OrderedDict()] * 2)[:-4], hidden_member,
                                     lambda: bz2.compress(EVIL)], ids=["cut", "two-faced-archive", "bzip2"])
def test_what_could_not_be_looked_through_is_said(ready, package, content):
    event = one(imported(ready, package, x__pkl=content()), "PickleNotRead")
    assert_answered(ready, event)
    assert event["event_type"] == "hint" and event["evidence"]["unread"] == event["params"]["why"]


# -- the setting --

DENY = ("--set", "check.pickle=deny")


@pytest.mark.parametrize("kind, content", [("dangerous", EVIL), ("unlisted", OWN), ("unread", bz2.compress(EVIL))])
def test_deny_ends_the_import(ready, package, kind, content):
    done = imported(ready, package, status=1, args=DENY, x__pkl=content, y__safetensors=safetensors(SAFE, bytes(20), b"!"))
    event = one(done, "PickleImportsDenied")
    assert_answered(ready, event)
    assert (event["kind"], event["event_type"], event["stage"]) == (kind, "abnormal", "copy")
    last = done.events[-1]
    assert last["reason"] == "ImportFailed" and last["cause"] == event["seq"] and last["summary"].startswith(event["summary"])
    assert told(done, "ModelFormatBroken"), "all findings, not the first"
    # Saved as it should be, the retry goes on.
    (package({"model/x.pkl": pickle.dumps([1])}) / "model/y.safetensors").write_bytes(safetensors(SAFE, bytes(20)))
    again = ready.run("retry", "m", "--json", *DENY, check=True)
    assert again.events[-1]["reason"] == "ModelImported" and not told(again, "PickleImportsDenied")


def test_off_says_nothing_of_pickles_but_still_of_formats(ready, package):
    done = imported(ready, package, args=("--set", "check.pickle=off"), x__pkl=EVIL, y__gguf=b"no")
    assert not told(done, "PickleImportsFound") and one(done, "ModelFormatBroken")


def test_a_setting_that_is_none(ready, package):
    done = ready.run("import", package(), "--name", "m", "--set", "check.pickle=yes")
    assert done.returncode == 2 and "warn, deny or off" in done.stderr


def test_what_is_not_packed_again_is_told_again(ready, package):
    """Layers of small files, and a large file's own, come from the store: nothing is read."""
    large = torch_file(EVIL, bytes(LARGE))
    folder = package({"model/own.pkl": OWN, "model/large.pt": large})
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    subprocess.run(["sleep", "2.1"], check=True)  # a digest is kept of what was older than 2 s when it was read
    first = ready.run("import", folder, "--name", "a", "--json", check=True)
    second = ready.run("import", folder, "--name", "b", "--json", check=True)
    assert one(second, "ModelFilesImported")["evidence"]["reused_files"] == 4
    said = [[(event["kind"], event["params"], event["evidence"]["imports"]) for event in told(run, "PickleImportsFound")]
            for run in (first, second)]
    assert said[0] == said[1] and len(said[0]) == 2
    denied = ready.run("import", folder, "--name", "c", "--json", *DENY)
    assert denied.returncode == 1 and len(told(denied, "PickleImportsDenied")) == 2
    assert one(denied, "ImportFailed")


def test_a_retry_takes_over_nothing_that_is_refused_now(waybill, base_layout, package):
    """The first attempt closed `copy` under warn and fails at its build, whose base is lost."""
    base = waybill.data.with_name("base")
    shutil.copytree(base_layout, base)
    waybill.run("runtime", "add", "base", "--image", f"oci:{base}:latest", check=True)
    blobs = {path.name for path in (waybill.data / "images/blobs/sha256").iterdir()}
    folder = package({"model/x.pkl": EVIL})
    for blob in blobs:
        (waybill.data / "images/blobs/sha256" / blob).rename(waybill.data.with_name(blob))
    shutil.rmtree(base)
    first = waybill.run("import", folder, "--name", "m", "--json")
    assert first.returncode == 1 and told(first, "PickleImportsFound"), str(first)
    retried = waybill.run("retry", "m", "--json", *DENY)
    event = one(retried, "PickleImportsDenied")
    assert retried.events[-1]["cause"] == event["seq"]


# -- formats --

@pytest.mark.parametrize("path, whole, format", [("m.safetensors", safetensors(SAFE, bytes(20)), "safetensors"),
                                                 ("m.gguf", gguf(), "GGUF"), ("m.gguf", gguf(64), "GGUF"),
                                                 ("m.onnx", onnx(tensor(), tensor()), "ONNX")])
def test_a_file_shorter_than_its_header_says(ready, package, path, whole, format):
    sound = imported(ready, package, name="sound", **{path.replace(".", "__"): whole})
    assert event_names(sound.events) == SOUND
    done = imported(ready, package, status=1, **{path.replace(".", "__"): whole[:-7]})
    event = one(done, "ModelFileTruncated")
    assert_answered(ready, event)
    assert event["evidence"]["expected"] == len(whole) and event["evidence"]["found"] == len(whole) - 7
    assert event["evidence"]["lacking"] == 7 and event["evidence"]["format"] == format
    assert done.events[-1]["cause"] == event["seq"]
    found = json.loads(ready.run("check", package(), "--json").stdout)["findings"]
    assert [(one["reason"], one["stage"]) for one in found] == [("ModelFileTruncated", "check")]


def test_a_header_that_is_cut(ready, package):
    done = imported(ready, package, status=1, a__safetensors=safetensors(SAFE, bytes(20))[:50], b__gguf=gguf()[:100])
    assert {event["evidence"]["file"] for event in told(done, "ModelFileTruncated")} == {"model/a.safetensors", "model/b.gguf"}


def test_files_that_are_not_what_their_name_says(ready, package):
    gap = json.loads(json.dumps(SAFE))
    gap["b"]["data_offsets"] = [18, 22]
    shape = json.loads(json.dumps(SAFE))
    shape["b"]["shape"] = [3]
    done = imported(ready, package, html__safetensors="<!DOCTYPE html>", zeros__safetensors=1000, behind__safetensors=safetensors(SAFE, bytes(20), b"xx"),
                    gap__safetensors=safetensors(gap, bytes(22)), shape__safetensors=safetensors(shape, bytes(20)),
                    no__gguf="words", bad__onnx="onnx", cut__pt=torch_file(STATE, bytes(500))[:-200])
    events = {event["evidence"]["file"]: event for event in told(done, "ModelFormatBroken")}
    assert {path: event["evidence"]["what"][:24] for path, event in events.items()} == {
        "model/html.safetensors": "it does not begin with t", "model/zeros.safetensors": "it does not begin with t",
        "model/behind.safetensors": "bytes stand behind its l", "model/gap.safetensors": "its tensors overlap, or ",
        "model/shape.safetensors": "a tensor's bytes are not", "model/no.gguf": "it does not begin with G",
        "model/bad.onnx": "it is no ONNX model from", "model/cut.pt": "the archive has no direc"}
    for event in events.values():
        assert_answered(ready, event)
    assert events["model/behind.safetensors"]["evidence"]["found"] - events["model/behind.safetensors"]["evidence"]["expected"] == 2


@pytest.mark.parametrize("kind, tensors, files", [
    ("missing", [tensor(), tensor("weights.data", 0, 4)], {}),
    ("outside", [tensor("../../etc/passwd", 0, 4), tensor("gone.data")], {}),
    ("outside", [tensor("/etc/passwd", 0, 4)], {}),
    ("outside", [tensor("weights.data", 16, 100), tensor("../x", 0, 4)], {"weights__data": bytes(115)}),
    ("short", [tensor("weights.data", 16, 100)], {"weights__data": bytes(115)})])
def test_external_data_that_is_not_there(ready, package, kind, tensors, files):
    event = one(imported(ready, package, m__onnx=onnx(*tensors), **files), "OnnxExternalDataMissing")
    assert_answered(ready, event)
    assert event["kind"] == kind and event["event_type"] == "hint"
    if kind == "short":
        assert (event["evidence"]["expected"], event["evidence"]["found"]) == (116, 115)


def test_external_data_that_is_there(ready, package):
    done = imported(ready, package, m__onnx=onnx(tensor("./weights.data", 16, 100)), weights__data=bytes(116))
    assert event_names(done.events) == SOUND


def test_a_git_lfs_pointer_is_told_once(ready, package):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 123456789\n" % ("ab" * 32)
    found = json.loads(ready.run("check", package({"model/m.safetensors": pointer}), "--json").stdout)["findings"]
    assert [event["reason"] for event in found] == ["LfsPointerFound"]


# -- ways --

def test_check_tells_the_same_and_stores_nothing(ready, package):
    folder = package({"model/x.pt": torch_file(EVIL), "model/m.onnx": onnx(tensor("w.data"))})
    done = ready.run("check", folder, "--json")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 0
    assert [event["reason"] for event in found] == ["PickleImportsFound", "OnnxExternalDataMissing"]
    for event in found:
        assert_answered(ready, event)
    assert ready.run("check", folder, *DENY).returncode == 1


def test_over_http(ready, server, package):
    """A check of the server's folder, an import by `--server`, whose files are uploaded."""
    folder = package({"model/x.pkl": EVIL})
    answer = server.ask("POST", "/v1/default/models/check", {"source_location": f"file://{folder}"})
    assert answer.status == 200 and answer.json["ok"]
    assert [event["reason"] for event in answer.json["findings"]] == ["PickleImportsFound"]
    done = ready.run("--server", f"http://{server.netloc}", "import", folder, "--name", "m", "--json", check=True)
    assert one(done, "PickleImportsFound")["evidence"]["file"] == "model/x.pkl"


def test_a_package_in_a_bucket(ready, rgw, bucket, package):
    ready.environment |= {"WAYBILL_OBJECTS_ENDPOINT": rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
                          "AWS_SECRET_ACCESS_KEY": "SKalice"}
    rgw.put_folder(bucket, "some/dir", package({"model/x.pt": torch_file(EVIL, os.urandom(100000))}))
    done = ready.run("import", f"s3://{bucket}/some/dir/", "--name", "m", "--json", check=True)
    assert one(done, "PickleImportsFound")["evidence"]["imports"] == [SYSTEM]


def test_a_registry_that_keeps_the_images(kept, package):
    folder = package({"model/x.pt": torch_file(EVIL, bytes(LARGE)), "model/y.pkl": OWN})
    for name in "ab":
        done = kept.run("import", folder, "--name", name, "--json", check=True)
        assert [event["kind"] for event in told(done, "PickleImportsFound")] == ["dangerous", "unlisted"]
