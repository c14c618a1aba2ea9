"""Files made so that who loads them sees something else than who looks at them: under check.pickle=deny each is refused,
by what it imports or as one that could not be looked through, and real files are not."""
import bz2
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import pytest

from test_scan import DENY, EVIL, STATE, archive, torch_file


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
