"""multipart/form-data (RFC 7578), read from a file part by part, in memory that does not grow with
it."""
import re
import tempfile
from urllib.parse import unquote

CHUNK = 64 << 10
IN_MEMORY = 1 << 20  # bytes of a file that stay in memory; more go to the disk
PART_HEAD_LIMIT = 16 << 10
PARTS_MAX = 1000
FIELD_LIMIT = 4 << 20  # bytes of a plain field

_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s"]*)')


class BadMultipart(ValueError):
    pass


def parameters(value):
    """Of a header field such as `form-data; name="a"; filename="b.png"`, names in lower case."""
    found = {}
    for name, text in _PARAMETER.findall(value):
        if text.startswith('"'):
            # Browsers write %22 for a quote, and Windows's own backslashes as they are.
            text = text[1:-1].replace('\\"', '"')
        found.setdefault(name.lower(), text)
    return found


def _text(raw):
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw


def _file_name(found):
    """Without directories, whichever system it comes from. None: the part is no file."""
    extended = found.get("filename*", "")
    charset, _, rest = extended.partition("'")
    if rest and charset.lower() in ("utf-8", "iso-8859-1"):
        name = unquote(rest.partition("'")[2], charset, "replace")
    elif "filename" in found:
        name = _text(found["filename"])
    else:
        return None
    return re.split(r"[/\\]", name)[-1].replace("\0", "")


class _Reader:
    """Bytes up to a mark."""

    def __init__(self, file):
        self.file, self.buffer = file, b""

    def _more(self):
        chunk = self.file.read(CHUNK)
        self.buffer += chunk
        return bool(chunk)

    def until(self, mark, write, what):
        """Hands the bytes before the mark over, and skips it."""
        while True:
            at = self.buffer.find(mark)
            if at >= 0:
                write(self.buffer[:at])
                self.buffer = self.buffer[at + len(mark):]
                return
            keep = len(mark) - 1
            if len(self.buffer) > keep:
                write(self.buffer[:len(self.buffer) - keep])
                self.buffer = self.buffer[len(self.buffer) - keep:]
            if not self._more():
                raise BadMultipart("the body ends in %s, expected %r" % (what, mark.decode(
                    "latin-1")))

    def take(self, size):
        while len(self.buffer) < size and self._more():
            pass
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken


class _Limited:
    """Collects bytes, at most so many."""

    def __init__(self, limit, what):
        self.limit, self.what, self.parts, self.size = limit, what, [], 0

    def write(self, data):
        self.size += len(data)
        if self.size > self.limit:
            raise BadMultipart("%s is larger than %d bytes" % (self.what, self.limit))
        self.parts.append(data)

    def bytes(self):
        return b"".join(self.parts)


def _part_head(reader, number):
    what = "the head of part %d" % number
    head = _Limited(PART_HEAD_LIMIT, what)
    reader.until(b"\r\n\r\n", head.write, what)
    headers = {}
    for line in head.bytes().decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if line and not colon:
            raise BadMultipart("%s has the line %r, expected NAME: VALUE" % (what, line[:80]))
        headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    found = parameters(disposition)
    if not disposition.lower().startswith("form-data") or "name" not in found:
        raise BadMultipart('%s has no Content-Disposition: form-data; name="…"' % what)
    return _text(found["name"]), _file_name(found)


def _add_file(fields, name, file_name, file):
    files = fields.setdefault(name, {})
    if not isinstance(files, dict):
        raise BadMultipart("the field %s is both a text and a file" % name)
    files[file_name] = file


def _add_text(fields, name, raw):
    if isinstance(fields.get(name), dict):
        raise BadMultipart("the field %s is both a text and a file" % name)
    try:
        fields[name] = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadMultipart("the field %s is not UTF-8; bytes need a filename" % name) from None


def parse_multipart(file, boundary, files):
    """{field: {file name: file object}}, of a plain field {field: text}; of those with one name the
    last counts. Appends the file objects to `files`, for the caller to close, also on failure."""
    if not 1 <= len(boundary) <= 70 or not boundary.isascii() or not boundary.isprintable():
        raise BadMultipart("the boundary must be 1 to 70 printable ASCII characters")
    mark = b"\r\n--" + boundary.encode()
    reader, fields = _Reader(file), {}
    reader.buffer = b"\r\n"  # the first mark may stand at the very beginning
    reader.until(mark, lambda data: None, "what stands before the first part")
    for number in range(1, PARTS_MAX + 2):
        end = reader.take(2)
        if end == b"--":
            return fields
        while end[:1] in (b" ", b"\t"):  # RFC 2046 allows blanks here
            end = end[1:] + reader.take(1)
        if end != b"\r\n":
            raise BadMultipart("after the boundary stands %r, expected the end of the line"
                               % end.decode("latin-1"))
        if number > PARTS_MAX:
            break
        name, file_name = _part_head(reader, number)
        what = "part %d (%s)" % (number, name)
        if file_name is None:
            text = _Limited(FIELD_LIMIT, what)
            reader.until(mark, text.write, what)
            _add_text(fields, name, text.bytes())
        else:
            content = tempfile.SpooledTemporaryFile(IN_MEMORY)
            files.append(content)
            reader.until(mark, content.write, what)
            content.seek(0)
            _add_file(fields, name, file_name, content)
    raise BadMultipart("the body has more than %d parts" % PARTS_MAX)
