"""The listing of a dynamic model, which the import put into the image: what belongs into the model
directory. Read strictly: it decides where files are written.

    {"version": 1, "repository": "project/name",
     "files": [{"path": "sub/weights.bin", "size": 123, "digest": "sha256:HEX"}, …]}

Members that are not known are passed over.
"""
import json
import re
from dataclasses import dataclass

from waybill_service.answers import readable

LIMIT = 64 << 20  # bytes
SIZE_MAX = (1 << 63) - 1
PART_PREFIX = ".waybill-part-"  # our own files beside those on their way
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
                         r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")


class BadListing(Exception):
    pass


@dataclass(frozen=True)
class ListedFile:
    path: str
    size: int
    digest: str

    @property
    def hex(self):
        return self.digest.partition(":")[2]


@dataclass(frozen=True)
class Listing:
    repository: str
    files: tuple


def _refuse_constant(name):
    raise ValueError("%s is no JSON value" % name)


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def check_path(path):
    """What is wrong with it, or None."""
    if not isinstance(path, str) or not path:
        return "expected a text"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in path):
        return "it has control characters"
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "it is no UTF-8"
    parts = path.split("/")
    if path.startswith("/"):
        return "it is absolute"
    if any(part in ("", ".", "..") for part in parts):
        return "it has an empty part, . or .."
    if len(encoded) > 4000 or any(len(part.encode()) > 255 for part in parts):
        return "it is too long"
    if parts[-1].startswith(PART_PREFIX):
        return "names that begin with %s are the service's own" % PART_PREFIX
    return None


def _shown(value):
    return readable(json.dumps(value, ensure_ascii=True))[:200]


def _file(entry, number):
    where = "file %d" % (number + 1)
    if not isinstance(entry, dict):
        raise BadListing("%s is no object" % where)
    path, size, digest = (entry.get(name) for name in ("path", "size", "digest"))
    wrong = check_path(path)
    if wrong:
        raise BadListing("%s: the path is %s: %s" % (where, _shown(path), wrong))
    if type(size) is not int or not 0 <= size <= SIZE_MAX:
        raise BadListing("%s, %s: the size is %s, expected a number of bytes"
                         % (where, path, _shown(size)))
    if not isinstance(digest, str) or not _DIGEST.match(digest):
        raise BadListing("%s, %s: the digest is %s, expected sha256: and 64 hexadecimal digits in "
                         "lower case" % (where, path, _shown(digest)))
    return ListedFile(path, size, digest)


def _check_together(files):
    paths, sizes = {file.path for file in files}, {}
    for file in files:
        folder = file.path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in paths:
                raise BadListing("%s is a file and a folder" % folder)
        if sizes.setdefault(file.digest, file.size) != file.size:
            raise BadListing("%s: two files of the same digest differ in size" % file.path)
    if len(paths) != len(files):
        seen = set()
        twice = next(file.path for file in files if file.path in seen or seen.add(file.path))
        raise BadListing("%s is listed twice" % twice)


def parse_listing(raw):
    try:
        root = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise BadListing("it is no JSON: %s" % error) from None
    if not isinstance(root, dict):
        raise BadListing("it is no JSON object")
    if type(root.get("version")) is not int or root["version"] != 1:
        raise BadListing("its version is %s, this service reads version 1"
                         % _shown(root.get("version")))
    repository, entries = root.get("repository"), root.get("files")
    if not isinstance(repository, str) or not _REPOSITORY.match(repository):
        raise BadListing("the repository is %s, expected project/name" % _shown(repository))
    if not isinstance(entries, list):
        raise BadListing("files is no list")
    files = tuple(_file(entry, number) for number, entry in enumerate(entries))
    _check_together(files)
    return Listing(repository, files)


def read_listing(path):
    """None: there is no such file, the model is whole in its image."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LIMIT + 1)
        if len(raw) > LIMIT:
            raise BadListing("it is larger than %d MiB" % (LIMIT >> 20))
        return parse_listing(raw)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadListing("the model's listing %s could not be read: %s"
                         % (path, error.strerror)) from None
    except BadListing as error:
        raise BadListing("the model's listing %s cannot be used: %s; import the model again"
                         % (path, error)) from None
