"""Files made so that who loads them sees something else than who looks at them: under check.pickle=deny each is refused,
by what it imports or as one that could not be looked through, and real files are not."""
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import struct
import tarfile
import time
import warnings
import zipfile
import zlib

import pytest

from test_scan import Call, DENY, EVIL, OWN, STATE, archive, gguf, torch_file


def refusals(ready, package, **files):
    """What `check` refuses: {file: kind}. One event of each kind stands for those that are too many to be told alone."""
    folder = package({f"model/{path.replace('__', '.')}": content for path, content in files.items()})
    done = ready.run("check", folder, "--json", *DENY)
    found = json.loads(done.stdout)["findings"]
    return {file.removeprefix("model/"): event["kind"] for event in found if event["reason"] == "PickleImportsDenied"
            for file in [event["evidence"]["file"], *event["evidence"].get("files", [])]}


def assert_refused(ready, package, kind, files):
    assert refusals(ready, package, **files) == {path.replace("__", "."): kind for path in files}


# -- archives --

def shifted(whole, field, amount, size="<I"):
    """A field of the end's record, set to more than it was."""
    whole, end = bytearray(whole), whole.rindex(b"PK\x05\x06")
    [value] = struct.unpack_from(size, whole, end + field)
    struct.pack_into(size, whole, end + field, value + amount)
    return bytes(whole)


def commented(whole, comment):
    whole, end = bytearray(whole), whole.rindex(b"PK\x05\x06")
    struct.pack_into("<H", whole, end + 20, len(comment))
    return bytes(whole) + comment


def endless(name, content):
    """A member that says that it is 2 GiB long, in front of an archive that is read from its end."""
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0x7fffffff, 0x7fffffff, 1, 0) + name + content


def hidden_end(whole, evil):
    """The last record of the directory ends with what is read as the end's record of 64 bits and its locator."""
    front, end = whole[:whole.rindex(b"PK\x05\x06")], whole[whole.rindex(b"PK\x05\x06"):]
    entry = front.rindex(b"PK\x01\x02")
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1, 1)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(front), 1)
    front = bytearray(front)
    struct.pack_into("<H", front, entry + 32, 76)
    return bytes(front) + end64 + locator + shifted(end, 12, 76)


SAFE_ZIP = archive({"a/data.pkl": STATE}, behind=False)
EVIL_ZIP = archive({"a/data.pkl": EVIL}, behind=False)
ZIPS = {
    "second-archive-behind": SAFE_ZIP + EVIL_ZIP,
    "empty-archive-before": archive({}, behind=False) + EVIL_ZIP,
    "directory-shifted": shifted(SAFE_ZIP, 16, -8),
    "directory-longer": shifted(SAFE_ZIP, 12, 8),
    "more-entries": shifted(SAFE_ZIP, 10, 1, "<H"),
    "end-in-the-comment": commented(SAFE_ZIP, EVIL_ZIP),
    "size-without-end": endless(b"x", b"y" * 99) + EVIL_ZIP,
    "end-in-an-entry": hidden_end(SAFE_ZIP, EVIL_ZIP),
    "bytes-behind": SAFE_ZIP + b"x" * 99,
    "bzip2-member": archive({"data": EVIL}, behind=False, method=zipfile.ZIP_BZIP2),
    "lzma-member": archive({"data": EVIL}, behind=False, method=zipfile.ZIP_LZMA),
    "cut": SAFE_ZIP[:-9],
}


@pytest.mark.parametrize("where", ["alone", "in-an-archive", "in-a-pickle"])
def test_an_archive_is_read_as_from_its_end(ready, package, where):
    wrap = {"alone": bytes, "in-an-archive": lambda content: archive({"x": content}),
            "in-a-pickle": lambda content: pickle.dumps([content])}[where]
    assert_refused(ready, package, "unread", {name: wrap(content) for name, content in ZIPS.items()})


def torch_end(pickled):
    """As miniz ends what torch.save writes: the record of 64 bits always, its values in the short one, too."""
    whole = torch_file(pickled, os.urandom(999))
    end = whole.rindex(b"PK\x05\x06")
    _, _, _, _, count, size, offset, _ = struct.unpack("<4sHHHHIIH", whole[end:])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return whole[:end] + end64 + struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1) + whole[end:]


def test_sound_archives_are_let_in(ready, package):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("large.pkl", "w", force_zip64=True) as member:
            member.write(STATE)
        file.comment = b"a comment"
    files = {"plain__pt": SAFE_ZIP, "torch__pt": torch_end(STATE), "zip64": out.getvalue(), "empty": archive({}, behind=False),
             "behind": torch_file(STATE), "nested": archive({"a": SAFE_ZIP})}
    assert refusals(ready, package, **files) == {}
    assert refusals(ready, package, evil__pt=torch_end(EVIL)) == {"evil.pt": "dangerous"}


# -- first bytes --

def tar(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        entry = tarfile.TarInfo("pickle")
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def long_bytes(magic, size):
    """A pickle that begins as something else: BINBYTES, whose length the magic number is a part of."""
    return magic + bytes(size) + EVIL[2:]


def test_a_magic_number_does_not_hide_a_pickle(ready, package):
    files = {"old__gguf": b"GGUF" + struct.pack("<I", 1) + b"\0" + EVIL,
             "swapped__gguf": b"GGUF" + struct.pack(">I", 3) + b"\0" + EVIL,
             "sound__gguf": b"GGUF" + struct.pack("<I", 3) + b"\x01G" + bytes(6) + b"\x01\x01G" + bytes(8) + EVIL,
             "name__gguf": EVIL, "name__safetensors": EVIL, "name__onnx": EVIL,
             "archive__safetensors": EVIL_ZIP, "archive__gguf": EVIL_ZIP, "packed__onnx": zlib.compress(EVIL),
             "bzip2": long_bytes(b"BZh\0\0", 0x685a)}
    assert set(refusals(ready, package, **files).values()) == {"dangerous"}
    assert_refused(ready, package, "dangerous", files)


def test_what_is_not_decompressed_is_told_whatever_its_name_is(ready, package):
    alone = lzma.compress(EVIL, lzma.FORMAT_ALONE)
    files = {"bz2__dat": bz2.compress(EVIL), "xz": lzma.compress(EVIL), "lzma": alone,
             "lzma-size": alone[:5] + struct.pack("<Q", len(EVIL)) + alone[13:],
             "lz4": b"\x04\x22\x4d\x18" + bytes(99), "zstd": b"\x28\xb5\x2f\xfd" + bytes(99), "tar": tar(EVIL),
             "zfile": b"ZF" + hex(len(EVIL)).encode().ljust(19) + zlib.compress(EVIL)}
    assert_refused(ready, package, "unread", files)


# -- joblib's arrays between the opcodes --

CALL = b"cos\nsystem\n(S'x'\ntR0"
PLAIN_STATE = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"


def word(text):
    return b"U" + bytes([len(text)]) + text


def pairs(shape=b"K\x08\x85", dtype=b"f8", copy=b"\x88", state=PLAIN_STATE, more=b""):
    return (b"(" + word(b"shape") + shape + word(b"dtype") + b"cnumpy\ndtype\n" + word(dtype) + b"\x89" + copy + b"\x87R"
            + b"q\x63" + state + b"b" + more + b"u")


def wrapped(array, made=b")\x81", front=b"", filled=None, built=b"b", rest=CALL, **options):
    """A list of one array, whose bytes are followed by a call."""
    filled = b"}" + pairs(**options) if filled is None else filled
    return (b"\x80\x02" + front + b"]cjoblib.numpy_pickle\nNumpyArrayWrapper\n" + made + b"q\x62" + filled + built
            + array + rest + b"a.")


ONE = bytes(64)  # eight numbers of eight bytes
VOID = b"(K\x03U\x01|NNN%sK\x01K\x00t"
ARRAYS = {
    "size-in-bits": wrapped(bytes(8), dtype=b"int8", rest=CALL + bytes(56)),
    "no-such-size": wrapped(ONE, dtype=b"i3"),
    "not-a-copy": wrapped(ONE, copy=b"\x89"),
    "size-of-no-item": wrapped(ONE, dtype=b"V8", state=b"(K\x03U\x01|NNNNK\x01K\x00t"),
    "flags-unknown": wrapped(ONE, state=b"(K\x03U\x01<NNNK\x08K\x08Nt"),
    "state-of-another-kind": wrapped(ONE, state=b"}"),
    "shape-of-floats": wrapped(ONE, shape=b"G" + bytes(8) + b"\x85"),
    "negative-shape": wrapped(ONE, shape=b"J\xff\xff\xff\xff\x85"),
    "overflowing-shape": wrapped(ONE, shape=b"\x8a\x08" + b"\x00" * 7 + b"\x40K\x04K\x01\x87"),
    "alignment-of-text": wrapped(ONE, more=word(b"numpy_array_alignment_bytes") + b"U\x01x"),
    "unknown-key": wrapped(ONE, more=b"Vsha\\u0070e\nK\x01\x85"),
    "called": wrapped(ONE, made=b"(NK\x08\x85NNNNtR"),
    "another-dictionary": wrapped(ONE, front=b"}q\x01" + pairs() + b"0", filled=b"h\x01"),
    "dictionary-of-another": wrapped(ONE, filled=b"}" + pairs(shape=b"K\x01\x85") + b"0h\x01", front=b"}" + pairs() + b"q\x010"),
    "state-given-twice": wrapped(ONE, built=b"b" + ONE + b"0h\x62}" + pairs() + b"b"),
    "class-of-another": wrapped(ONE).replace(b"cjoblib.", b"cx.joblib."),
    "two-dictionaries": wrapped(ONE, filled=b"}q\x01" + pairs(shape=b"K\x7f\x85") + b"0}" + pairs() + b"0h\x01"),
    "made-by-instance": wrapped(b"B\xff\0\0\0" + bytes(59), made=b"").replace(b"]c", b"](i", 1),
    "made-by-object": wrapped(b"B\xff\0\0\0" + bytes(59), made=b"o").replace(b"]c", b"](c", 1),
    "made-by-copyreg": wrapped(b"B\xff\0\0\0" + bytes(59), made=b"c__builtin__\nobject\nN\x87R").replace(
        b"]c", b"]ccopy_reg\n_reconstructor\nc", 1),
    "made-by-its-type": wrapped(b"B\xff\0\0\0" + bytes(59), made=b")\x81\x85R)\x81").replace(b"]c", b"]c__builtin__\ntype\nc", 1),
    "made-from-a-lost-place": wrapped(b"B\xff\0\0\0" + bytes(59), made=b"r\0\0\0\x700j\0\0\0\x70)\x81"),
    "class-changed": wrapped(ONE, made=b"N}" + word(b"numpy_array_alignment_bytes") + b"K\x10s\x86b)\x81"),
    "frame-over-the-array": b"\x80\x04\x95" + struct.pack("<Q", len(wrapped(b"")) - 2) + wrapped(b"")[2:] + ONE,
    "frame-over-the-end": b"\x80\x04\x95" + struct.pack("<Q", 99) + b"N." + b"B\xff\xff\xff\x00" + bytes(99) + EVIL,
    "objects-of-numbers": wrapped(ONE, dtype=b"O8"),
    "memo-of-objects": wrapped(b"\x80\x02]\x94.", dtype=b"O8", state=b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ft"),
}


def test_an_array_is_passed_over_only_where_its_bytes_are_certain(ready, package):
    refused = refusals(ready, package, **ARRAYS)
    # Other imports may be told besides; then `unread` stands beside them.
    assert set(refused) == set(ARRAYS)


def test_an_array_is_read_as_pickle_alone_would(ready, package):
    evil = b"0" + CALL + b"N"
    padded = b"\x10" + bytes(16)
    files = {"bare": wrapped(evil + bytes(64 - len(evil)), rest=b""),
             "in-the-padding": wrapped(b"N" + evil.ljust(0x4e, b"\0") + ONE, rest=b"",
                                       more=word(b"numpy_array_alignment_bytes") + b"K\x10")}
    sound = {"bare": wrapped(ONE, rest=b""), "objects": wrapped(pickle.dumps([1], 2), rest=b"", dtype=b"O8",
                                                               state=b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ft"),
             "void": wrapped(bytes(24), rest=b"", dtype=b"V3", state=VOID % b"K\x03"),
             "padded": wrapped(padded + ONE, rest=b"", more=word(b"numpy_array_alignment_bytes") + b"K\x10"),
             "unpadded": wrapped(ONE, rest=b"", more=word(b"numpy_array_alignment_bytes") + b"N")}
    assert refusals(ready, package, **sound) == {}
    assert_refused(ready, package, "dangerous", files)


def test_a_call_behind_a_stretched_array_is_seen(ready, package):
    """The dtype's text says one byte, its state 1000, which is what counts, also where it is fetched from the memo."""
    state = VOID % b"M\xe8\x03"
    late = b"}" + pairs(dtype=b"V1", state=state).replace(b"bu", b"b0h\x63u")
    files = {"state": wrapped(bytes(8000), dtype=b"V1", state=state), "memo": wrapped(bytes(8000), filled=late)}
    assert_refused(ready, package, "dangerous", files)


def test_real_dumps_of_every_kind_are_let_in(ready, package, tmp_path):
    joblib, numpy = pytest.importorskip("joblib"), pytest.importorskip("numpy")
    arrays = [numpy.zeros(9, code) for code in "?bBhHiIlLqQefdgFDGSU"] + [
        numpy.array(["2026-11-28"], "M8[D]"), numpy.array([5], "m8[ns]"), numpy.array(["abc"]), numpy.array([b"x" * 300]),
        numpy.array(["x", None, 3], object), numpy.zeros(3, [("x", "f8"), ("y", "i4", 3)]),
        numpy.array([(1, "x")], [("n", "i4"), ("o", object)]), numpy.zeros((3, 0)), numpy.array(1.5), numpy.zeros(3, "V5"),
        numpy.zeros((2, 3, 4, 5, 6, 1, 1, 2)), numpy.asfortranarray(numpy.ones((3, 4))), numpy.zeros(3, ">f4"),
        numpy.full(100000, 40, "u1"), numpy.full(100000, 41, "u1"), numpy.full(100000, 0x62, "u1"),
        numpy.random.default_rng(1).integers(0, 255, 100000, "u1")]
    files = {}
    for protocol in (2, 3, 4, 5):
        for compress in (0, 3, ("gzip", 3)):
            name = f"{protocol}-{compress if isinstance(compress, int) else 'gz'}"
            joblib.dump({"arrays": arrays, "again": arrays}, tmp_path / name, compress=compress, protocol=protocol)
            files[name] = (tmp_path / name).read_bytes()
    assert refusals(ready, package, **files) == {}


# -- compressed streams --

def test_streams_of_gzip_are_read_as_python_does(ready, package):
    front, behind = pickle.dumps([1] * 99), gzip.compress(CALL + b"N.")
    whole = gzip.compress(front)
    flagged = whole[:3] + b"\x02" + whole[4:10] + b"\0\0" + gzip.compress(EVIL)[10:]  # a header's sum, which is wrong
    assert pickle.loads(gzip.decompress(whole + bytes(9) + gzip.compress(b"")))
    assert refusals(ready, package, a=whole + bytes(99), b=whole, c=whole + b"behind") == {}
    assert refusals(ready, package, zeros=whole + bytes(99999) + behind, none=whole + behind, flag=flagged) == {
        "zeros": "dangerous", "none": "dangerous", "flag": "unread"}


# -- names --

@pytest.mark.parametrize("name", ["sklearn.utils._testing\ncheck_output", "sklearn.datasets._base\nurlretrieve",
                                  "sklearn.externals._packaging.version\nVersion", "joblib.numpy_pickle\nload"])
def test_a_way_out_beneath_what_is_listed(ready, package, name):
    assert_refused(ready, package, "dangerous", {"x__pkl": b"\x80\x02c" + name.encode() + b"\n(U\x01xtR."})


def test_every_estimator_is_let_in(ready, package, tmp_path):
    """Fitted where a few lines suffice, else as it is made."""
    joblib, numpy = pytest.importorskip("joblib"), pytest.importorskip("numpy")
    pytest.importorskip("sklearn")
    from sklearn import metrics
    from sklearn.utils import all_estimators
    from sklearn.utils.estimator_checks import _construct_instance
    warnings.simplefilter("ignore")
    points = numpy.random.default_rng(1).random((40, 4))
    answers = (points[:, 0] > 0.5).astype(int)
    inputs = [(points, answers), (points, numpy.column_stack([answers, 1 - answers])), (points, answers + 1.0), (points,),
              (["a b c", "d e f g"] * 20,), ([{"a": 1}, {"b": 2}] * 20,), (points[:, 0], answers)]
    files = {}
    for name, kind in all_estimators():
        try:
            model = _construct_instance(kind)
        except Exception:
            continue  # it needs others, which come by themselves
        for given in inputs:
            try:
                model.fit(*given)
                break
            except Exception:
                continue
        joblib.dump(model, tmp_path / name)
        files[f"{name}__joblib"], files[f"{name}__pkl"] = (tmp_path / name).read_bytes(), pickle.dumps(model)
    for name in metrics.get_scorer_names():
        files[f"scorer-{name}__pkl"] = pickle.dumps(metrics.get_scorer(name))
    assert len(files) > 200
    # FeatureAgglomeration's default is numpy.mean, which is on no list.
    assert set(refusals(ready, package, **files)) <= {"FeatureAgglomeration.joblib", "FeatureAgglomeration.pkl"}


# -- many files --

def test_no_file_of_very_many_is_left_out(ready, package):
    """Behind 400 that import only what is listed, and 300 that do not, stands one that is cut."""
    files = {f"model/a{i:03}.pkl": STATE for i in range(400)} | {f"model/b{i:03}.pkl": OWN for i in range(300)}
    folder = package(files | {"model/z.gguf": gguf()[:-7], "model/z.pkl": EVIL})
    done = ready.run("import", folder, "--name", "m", "--json")
    found = [event for event in done.events if event["reason"] == "PickleImportsFound"]
    assert sum(1 + event["evidence"].get("more", 0) for event in found) == 301
    assert found[0]["kind"] == "dangerous" and found[0]["evidence"]["file"] == "model/z.pkl"
    assert [event["evidence"]["file"] for event in done.events if event["reason"] == "ModelFileTruncated"] == ["model/z.gguf"]
    assert done.returncode == 1


def test_no_kind_crowds_out_another(ready, package):
    files = {f"a{i:02}": bz2.compress(EVIL) for i in range(30)} | {f"b{i:02}__pkl": OWN for i in range(30)} | {"z__pkl": EVIL}
    refused = refusals(ready, package, **files)
    assert set(refused.values()) == {"unread", "unlisted", "dangerous"}


# -- what is kept of a scan --

def test_the_same_bytes_under_another_ending_are_another_file(ready, package):
    """Files of a dynamic model lie by their digest, and how one is read its name decides."""
    plain = package({"model/page.dat": b"<!DOCTYPE html>"}, name="plain")
    told = package(name="told")
    os.link(plain / "model/page.dat", told / "model/page.safetensors")  # so that it is not read again
    time.sleep(2.1)  # its digest is kept once its ctime is 2 s old
    done = ready.run("import", plain, "--name", "a", "--dynamic", "--json", check=True)
    assert not [event for event in done.events if event["reason"] == "ModelFormatBroken"]
    for name in "bc":
        done = ready.run("import", told, "--name", name, "--dynamic", "--json", check=True)
        [event] = [event for event in done.events if event["reason"] == "ModelFormatBroken"]
        assert event["evidence"]["file"] == "model/page.safetensors"


@pytest.mark.parametrize("options", [(), ("--dynamic",)], ids=["packed", "dynamic"])
def test_what_is_not_known_any_more_is_not_let_in(ready, package, options):
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("CREATE TRIGGER lost AFTER INSERT ON layer_scans BEGIN DELETE FROM layer_scans; END")
    done = ready.run("import", package({"model/x.pkl": EVIL}), "--name", "m", "--json", *DENY, *options)
    assert done.returncode == 1
    assert {event["kind"] for event in done.events if event["reason"] == "PickleImportsDenied"} == {"unread"}


def test_an_import_without_a_call_is_told_where_python_fails(ready, package):
    files = {"cut__pkl": b"cown\nNet\n", "broken__pt": b"cown\nNet\n\xff"}
    assert_refused(ready, package, "unlisted", files)


# -- numpy's files --

def test_real_arrays_of_numpy_are_let_in_and_what_follows_them_is_seen(ready, package):
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.zeros((3, 4), code) for code in "?bBhHiIlLqQefdgFDGSU"] + [
        numpy.array(["2026-11-28"], "M8[D]"), numpy.array([5], "m8[25us]"), numpy.array(["abc"]), numpy.zeros(3, "V5"),
        numpy.zeros(3, [("object", "f8"), ("y", "i4", (3, 2)), (("title", "z"), [("w", "U3")])]), numpy.array(1.5),
        numpy.zeros(3, numpy.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 16]})),
        numpy.asfortranarray(numpy.ones((3, 4))), numpy.zeros((0, 3)), numpy.array([1, "x", None], object)]
    files, row = {}, io.BytesIO()
    for number, array in enumerate(arrays):
        one, packed = io.BytesIO(), io.BytesIO()
        numpy.save(one, array)
        numpy.save(row, array)
        (numpy.savez if number % 2 else numpy.savez_compressed)(packed, array, other=array)
        files[f"{number}__npy"], files[f"{number}__npz"] = one.getvalue(), packed.getvalue()
    files["numbers__npy"] = b"".join(files[f"{number}__npy"] for number in range(9))
    assert refusals(ready, package, **files) == {}
    behind = io.BytesIO()
    numpy.save(behind, numpy.array([Call(os.system, "x")]))
    evil = {"second__npy": files["1__npy"] + behind.getvalue(), "bare__npy": files["2__npy"] + EVIL}
    assert refusals(ready, package, **evil) == {"second.npy": "dangerous", "bare.npy": "dangerous"}
