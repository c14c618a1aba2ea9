"""A request's body as the `data` that the inference code gets."""
import json

from waybill_service.answers import HttpError
from waybill_service.multipart import BadMultipart, parameters, parse_multipart

EXPECTED = "expected application/json or multipart/form-data"


class JsonText(str):
    """The text of a JSON body, for code that calls json.loads on it, which answers as the mapping
    that it holds, for code that does not."""

    def __new__(cls, text, value):
        made = super().__new__(cls, text)
        made.value = value
        return made

    def __getitem__(self, key):
        return self.value[key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, key):
        return isinstance(self.value, dict) and key in self.value or super().__contains__(key)

    def get(self, key, default=None):
        return self.value.get(key, default)

    def keys(self):
        return self.value.keys()

    def values(self):
        return self.value.values()

    def items(self):
        return self.value.items()


def _json_place(error):
    return "line %d, column %d: %s" % (error.lineno, error.colno, error.msg)


def _refuse_constant(name):
    raise ValueError("%s is no JSON value" % name)


def parse_json(raw, as_text):
    if not raw.strip():
        raise HttpError(400, "Service.BadJson", "the body is empty, expected JSON")
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise HttpError(400, "Service.BadJson",
                        "the body is not UTF-8: byte %d" % error.start) from None
    except json.JSONDecodeError as error:
        raise HttpError(400, "Service.BadJson",
                        "the body is not JSON: " + _json_place(error)) from None
    except ValueError as error:
        raise HttpError(400, "Service.BadJson", "the body is not JSON: %s" % error) from None
    except RecursionError:
        raise HttpError(400, "Service.BadJson", "the body's JSON is nested too deeply") from None
    return JsonText(text, value) if as_text else value


def read_data(request, file, as_text, files):
    """file: the body, at its beginning. Appends what is to be closed after the request to files."""
    content_type = request.header("content-type")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.startswith("application/") and kind.endswith("+json"):
        return parse_json(file.read(), as_text)
    if kind == "multipart/form-data":
        boundary = parameters(content_type).get("boundary")
        if boundary is None:
            raise HttpError(400, "Service.BadMultipart",
                            "Content-Type is %.120s, expected a boundary=…" % content_type)
        try:
            return parse_multipart(file, boundary, files)
        except BadMultipart as error:
            raise HttpError(400, "Service.BadMultipart", str(error)) from None
    found = "Content-Type is %.120s" % content_type if kind else "Content-Type is missing"
    raise HttpError(415, "Service.UnsupportedMediaType", "%s, %s" % (found, EXPECTED))
