#!/usr/bin/env python3
"""A client of `waybill serve`: one file, nothing but Python's standard library (3.8 or newer).

    from waybill import Waybill, ImportFailed

    client = Waybill("http://127.0.0.1:8420")
    try:
        model = client.import_model("file:///srv/models/digits", name="digits")
    except ImportFailed as failed:
        print(failed.place, failed.summary, *failed.steps, failed.link, sep="\\n")

or, from a shell:

    python3 waybill.py import file:///srv/models/digits --name digits

The server itself hands this file out: GET /client/waybill.py.
"""
import argparse
import http.client
import json
import math
import os
import re
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import quote, urlencode, urlsplit

__all__ = ["Waybill", "ImportFailed", "ApiError", "Unreachable"]

RUNNING = ("publishing", "building")
CLOSING = ("ModelImported", "ImportFailed")
MOST_WAIT = 60  # seconds that the server lets a request wait
SILENCE = 45  # seconds; on a stream the server says something every 15
BLOCK = 1 << 20
NOT_THERE = (404, 405)
AGAIN = (429, 502, 503, 504)
LOCATION = re.compile(r"[A-Za-z0-9]+:")

Json = Dict[str, Any]


class ApiError(Exception):
    """The server refused a request: status (of HTTP), code ("ModelArts.3002"), details."""

    def __init__(self, status: int, answer: Any, text: str = ""):
        answer = answer if isinstance(answer, dict) else {}
        self.status = status
        self.code: str = answer.get("error_code", "")
        self.details: List[str] = answer.get("details", [])
        super().__init__(answer.get("error_msg") or text or f"HTTP status {status}")


class Unreachable(ConnectionError):
    """The server did not answer, however often it was asked."""


class ImportFailed(Exception):
    """An import ended without an image. place may be "", steps empty; event is the whole event that
    explains it, details those of the model."""

    def __init__(self, details: Json, event: Json, language: str):
        chinese = "_cn" if language == "zh" else ""
        failure = details.get("failure") or {}
        self.details, self.event = details, event
        self.model_id: str = details["model_id"]
        self.reason: str = failure.get("reason", event.get("reason", ""))
        self.kind: str = failure.get("kind", "")
        self.place: str = failure.get("place", "")
        self.summary: str = (failure.get("summary" + chinese) or event.get("summary" + chinese)
                             or event.get("event_info" + chinese, ""))
        self.steps: List[str] = event.get("advice" + chinese) or []
        self.fix_by: str = failure.get("fix_by", "")
        self.retryable: bool = bool(failure.get("retryable"))
        self.link: str = failure.get("url", "")
        super().__init__(f"{self.place}: {self.summary}" if self.place else self.summary)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API has none, and a token is for the server that it was given for."""

    def redirect_request(self, *arguments):
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Waybill:
    """One server, one project. token: a token of the server's, where it asks for one. Requests that
    may be sent again are, for `patience` seconds, while the server does not answer. May be used by
    several threads."""

    def __init__(self, url: str = "http://127.0.0.1:8420", token: Optional[str] = None,
                 project: str = "default", language: str = "en", patience: float = 60):
        self.url, self.token, self.project = url.rstrip("/"), token, project
        self.language, self.patience = language, patience

    # -- requests --

    def _headers(self, headers=None) -> Dict[str, str]:
        headers = dict(headers or {})
        headers["X-Language"] = "zh-cn" if self.language == "zh" else "en-us"
        if self.token:
            headers["X-Auth-Token"] = self.token
        return headers

    def _open(self, method: str, path: str, body=None, headers=None, timeout: float = 30):
        headers = self._headers(headers)
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            return _OPENER.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise ApiError(error.code, _json(text), text.strip()) from None
        except urllib.error.URLError as error:
            raise ConnectionError(f"{self.url}: {error.reason}") from error

    def _once(self, method: str, path: str, body=None, headers=None, timeout: float = 30) -> Any:
        try:
            with self._open(method, path, body, headers, timeout) as response:
                return json.loads(response.read() or b"null")
        except ConnectionError:
            raise
        except (http.client.HTTPException, OSError) as error:
            raise ConnectionError(f"{self.url}: {error!r}") from error

    def _ask(self, method: str, path: str, body: Optional[Json] = None, headers=None,
             timeout: float = 30, **query) -> Any:
        """Sends the request until it is answered."""
        query = {key: value for key, value in query.items() if value is not None}
        path = self._path(path) + ("?" + urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = dict(headers or {})
        if data is not None:
            headers["Content-Type"] = "application/json"
        tries = _Tries(self.patience)
        while True:
            try:
                return self._once(method, path, data, headers, timeout)
            except (ConnectionError, ApiError) as error:
                if isinstance(error, ApiError) and error.status not in AGAIN:
                    raise
                tries.again(error)

    def _path(self, path: str) -> str:
        return f"/v1/{quote(self.project, safe='')}{path}"

    # -- importing --

    def import_model(self, source: str, name: str, version: Optional[str] = None,
                     model_type: Optional[str] = None, timeout: Optional[float] = None,
                     **fields) -> Json:
        """Imports and waits: the model's details. Raises ImportFailed, TimeoutError."""
        return self.wait(self.submit(source, name, version, model_type, **fields), timeout)

    def submit(self, source: str, name: str, version: Optional[str] = None,
               model_type: Optional[str] = None, idempotency_key: Optional[str] = None,
               **fields) -> str:
        """Begins an import: its model_id.

        source: a location that the server knows (file:///DIR, oci:DIR:TAG, upload://ID), or a
        directory of this machine, see upload(). version: the one after the newest when it is left
        out. model_type: as the package's config says when it is left out. fields: others of POST
        /models, as they are called there (description, runtime, initial_config, …). It is imported
        once, however often the request has to be sent; with an idempotency_key of your own also when
        this program is run again with the same arguments, for which it needs a version, and a
        source that the server has."""
        if idempotency_key and (version is None or not LOCATION.match(source)):
            raise ValueError("an idempotency key needs a version, and a source that the server has")
        location = self.locate(source)
        body = {"model_name": name, "model_version": version or self.next_version(name),
                "model_type": model_type or self._type_of(location, fields),
                "source_location": location, **fields}
        answer = self._ask("POST", "/models", body,
                           {"Idempotency-Key": idempotency_key or str(uuid.uuid4())})
        return answer["model_id"]

    def retry(self, model_id: str, timeout: Optional[float] = None) -> Json:
        """The next attempt of a failed import, waited for like import_model."""
        self._ask("POST", f"/models/{model_id}/retry", {}, {"Idempotency-Key": str(uuid.uuid4())})
        return self.wait(model_id, timeout)

    def check(self, source: str, **fields) -> Json:
        """What would stop an import, all of it: {"ok": …, "findings": [event, …], …}."""
        return self._ask("POST", "/models/check",
                         {"source_location": self.locate(source), **fields}, timeout=600)

    def _type_of(self, location: str, fields: Json) -> str:
        answer = self.check(location, **fields)
        if "model_type" not in answer:
            why = [event.get("summary") or event["event_info"] for event in answer["findings"]]
            raise ValueError("model_type is not given, and the package's config does not say it: "
                             + "; ".join(why))
        return answer["model_type"]

    def next_version(self, name: str) -> str:
        newest = self._ask("GET", "/models", model_name=name, exact_match="true", limit=1,
                           sort_by="model_version", order="desc")["models"]
        version = newest[0]["model_version"] if newest else "0.0.0"
        major, minor, patch = map(int, version.split("."))
        number = major * 10000 + minor * 100 + patch + 1
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    # -- packages of this machine --

    def locate(self, source: str) -> str:
        """source as the server knows it. A directory of this machine is uploaded; a server without
        uploads reads it itself, when it is on this machine too."""
        if LOCATION.match(source):
            return source
        if not os.path.isdir(source):
            raise NotADirectoryError(f"{source}: expected a directory, or a location such as "
                                     "file:///DIR")
        try:
            return self.upload(source)
        except ApiError as error:
            if error.status not in NOT_THERE:
                raise
        return "file://" + os.path.abspath(source)

    def upload(self, directory: str) -> str:
        """Uploads a package, a directory with model/ in it: its location, to check and import."""
        files = dict(_package_files(directory))
        upload_id = self._ask("POST", "/uploads", {})["upload_id"]
        for path, file in files.items():
            self._upload_file(upload_id, path, file)
        return f"upload://{upload_id}"

    def _upload_file(self, upload_id: str, path: str, file: str) -> None:
        tries = _Tries(self.patience)
        where = self._path(f"/uploads/{upload_id}/{quote(path)}")
        while True:
            try:
                return self._put(where, file)
            except (ConnectionError, ApiError) as error:
                # 409: the server still waits for the rest of what broke off.
                if isinstance(error, ApiError) and error.status not in (409, *AGAIN):
                    raise
                tries.again(error)

    def _put(self, where: str, file: str) -> None:
        """Not by urllib, which loses the answer of a server that refuses before it has read all."""
        url = urlsplit(self.url)
        https = url.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = kind(url.netloc, timeout=600)
        try:
            with open(file, "rb") as body:
                length = os.fstat(body.fileno()).st_size
                headers = self._headers({"Content-Type": "application/octet-stream",
                                         "Content-Length": str(length)})
                try:
                    connection.request("PUT", url.path + where, body, headers)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it has answered
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.filename == file:
                raise
            raise ConnectionError(f"{self.url}: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, _json(text), text.strip())

    # -- following --

    def model(self, model_id: str, wait: Optional[float] = None) -> Json:
        """The details; with wait when the import has ended, or after so many seconds."""
        return self._ask("GET", f"/models/{model_id}", timeout=30 + (wait or 0),
                         wait=None if wait is None else math.ceil(wait))

    def events(self, model_id: str, after: int = 0, **query) -> List[Json]:
        """The timeline as it is now, all of it behind seq `after`. query: event_type, reason, …"""
        found: List[Json] = []
        while True:
            page = self._ask("GET", f"/models/{model_id}/events", after=after, **query)["events"]
            found += page
            if not page or "limit" in query:
                return found
            after = page[-1]["seq"]

    def follow(self, model_id: str, after: int = 0) -> Iterator[Json]:
        """Every event behind seq `after`, as it happens, until the import has ended. The connection
        is made again when it breaks, with the last seq: no event is lost, none comes twice."""
        tries = _Tries(self.patience)
        while True:
            try:
                if self._has_ended(model_id, after):
                    return
                for event in self._stream(model_id, after, tries.begin):
                    if event["seq"] <= after:
                        continue
                    after = event["seq"]
                    yield event
                    if event["reason"] in CLOSING and self._has_ended(model_id, after):
                        return
                cause: Exception = ConnectionError("the stream ended")
            except (OSError, http.client.HTTPException) as error:
                cause = error
            except ApiError as error:
                if error.status < 500:
                    raise
                cause = error
            tries.again(cause)

    def _stream(self, model_id: str, after: int, alive) -> Iterator[Json]:
        """One connection's events; alive is called when anything comes (https://html.spec.whatwg.org/#server-sent-events)."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        data: List[str] = []
        is_event = False
        with self._open("GET", self._path(f"/models/{model_id}/events/stream"), None, headers,
                        SILENCE) as response:
            for line in response:
                alive()
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "data":
                    data.append(value)
                elif name == "id":
                    is_event = True  # without an id it is the progress of a stage
                elif not name and not value and not line.strip():
                    if data and is_event:
                        yield json.loads("\n".join(data))
                    data, is_event = [], False

    def _has_ended(self, model_id: str, seq: int) -> bool:
        details = self.model(model_id)
        last = details.get("last_event") or {"seq": 0}
        return details["model_status"] not in RUNNING and last["seq"] <= seq

    def wait(self, model_id: str, timeout: Optional[float] = None) -> Json:
        """The details once the import has ended. Raises ImportFailed, TimeoutError."""
        end = time.monotonic() + timeout if timeout is not None else None
        while True:
            left = MOST_WAIT if end is None else min(MOST_WAIT, end - time.monotonic())
            details = self.model(model_id, max(left, 0))
            if details["model_status"] == "published":
                return details
            if details["model_status"] not in RUNNING:
                raise ImportFailed(details, self._cause(details), self.language)
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{model_id} is still being imported after {timeout:g} s")

    def _cause(self, details: Json) -> Json:
        seq = (details.get("failure") or {}).get("seq")
        if not seq:
            return details.get("last_event") or {}
        return self.events(details["model_id"], seq - 1, limit=1)[0]


class _Tries:
    """Pauses between tries, 0.1 s to 5 s, for so many seconds from the first failure on."""

    def __init__(self, patience: float):
        self.patience = patience
        self.begin()

    def begin(self) -> None:
        self.end: Optional[float] = None
        self.pause = 0.1

    def again(self, cause: Exception) -> None:
        if self.end is None:
            self.end = time.monotonic() + self.patience
        if time.monotonic() + self.pause > self.end:
            if isinstance(cause, ApiError):
                raise cause
            raise Unreachable(str(cause)) from cause
        time.sleep(self.pause)
        self.pause = min(self.pause * 2, 5)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _unreadable(error: OSError) -> None:
    raise error


def _package_files(directory: str) -> Iterator[Any]:
    """(path in the package, file): what lies in model/, and the files beside it that an import
    reads. Links are followed as long as they stay in the package."""
    root = os.path.realpath(directory)
    found = []
    for folder, folders, files in os.walk(os.path.join(root, "model"), onerror=_unreadable):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        if links:
            raise ValueError(f"{os.path.join(folder, links[0])} is a link to a directory: put the "
                             "directory itself there")
        found += [os.path.join(folder, name) for name in files]
    found += [os.path.join(root, name) for name in ("waybill.json", ".waybillignore")]
    for file in sorted(found):
        real = os.path.realpath(file)
        if os.path.commonpath([real, root]) != root:
            raise ValueError(f"{file} is a link that leaves the package: put the file itself there")
        if os.path.lexists(file) and not os.path.isfile(real):
            raise ValueError(f"{file} is no file, or a link to nothing")
        if os.path.isfile(real):
            yield os.path.relpath(file, root).replace(os.sep, "/"), real


# -- the command line --

DONE, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130  # as `waybill import`


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="waybill.py", description="A client of `waybill serve`.")
    parser.add_argument("--url", default=os.environ.get("WAYBILL_SERVER", "http://127.0.0.1:8420"),
                        help="the server ($WAYBILL_SERVER, else %(default)s)")
    parser.add_argument("--project", default="default")
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="language of texts")
    parser.epilog = "A token is taken from $WAYBILL_TOKEN."
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, argument: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=what, description=what)
        sub.add_argument(argument, metavar=argument.upper())
        sub.add_argument("--json", action="store_true", help="objects, one a line")
        return sub

    request = command("import", "Import a package and follow it to its end", "source")
    request.add_argument("--name", required=True)
    request.add_argument("--version", help="the one after the newest when it is left out")
    request.add_argument("--description")
    request.add_argument("--idempotency-key", help="the same key and arguments import once")
    request.add_argument("--detach", action="store_true", help="print the id and do not wait")
    for sub in (request, command("check", "Say all that would stop an import", "source")):
        sub.add_argument("--type", dest="model_type")
        sub.add_argument("--runtime")
        sub.add_argument("--config", metavar="FILE", help="wins over the package's config.json")
    command("events", "Print a model's events", "model")
    command("follow", "Print a model's events as they happen", "model")
    command("wait", "Wait until the import has ended", "model")
    return parser


def _print_event(event: Json, as_json: bool, language: str) -> None:
    if as_json:
        print(json.dumps(event, ensure_ascii=False), flush=True)
        return
    clock = time.strftime("%H:%M:%S  ", time.localtime(event["occur_time"] / 1000)) \
        if "occur_time" in event else ""
    info = event["event_info_cn" if language == "zh" else "event_info"]
    print(f"{clock}{event['event_type']:<8}  {event['stage']:<11}  {info}", flush=True)


def _print_failure(failed: ImportFailed) -> None:
    print(f"waybill.py: {failed}", file=sys.stderr)
    for number, step in enumerate(failed.steps, 1):
        print(f"  {number}. {step}", file=sys.stderr)
    if failed.link:
        print(f"  {failed.link}", file=sys.stderr)


def _fields(arguments: argparse.Namespace) -> Json:
    fields = {"runtime": arguments.runtime, "model_type": arguments.model_type,
              "description": getattr(arguments, "description", None)}
    if arguments.config:
        with open(arguments.config, encoding="utf-8") as file:
            fields["initial_config"] = file.read()
    return {key: value for key, value in fields.items() if value is not None}


def _import(client: Waybill, arguments: argparse.Namespace) -> int:
    model_id = client.submit(arguments.source, arguments.name, arguments.version,
                             idempotency_key=arguments.idempotency_key, **_fields(arguments))
    if arguments.detach:
        print(json.dumps({"model_id": model_id}) if arguments.json else model_id)
        return DONE
    return _follow(client, model_id, arguments.json)


def _follow(client: Waybill, model_id: str, as_json: bool) -> int:
    for event in client.follow(model_id):
        _print_event(event, as_json, client.language)
    client.wait(model_id)
    return DONE


def _check(client: Waybill, arguments: argparse.Namespace) -> int:
    answer = client.check(arguments.source, **_fields(arguments))
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False))
    chinese = "_cn" if client.language == "zh" else ""
    for event in [] if arguments.json else answer["findings"]:
        _print_event(event, False, client.language)
        print("  " + (event.get("summary" + chinese) or ""))
        for number, step in enumerate(event.get("advice" + chinese) or [], 1):
            print(f"    {number}. {step}")
    return DONE if answer["ok"] else FAILED


def _run(arguments: argparse.Namespace) -> int:
    client = Waybill(arguments.url, os.environ.get("WAYBILL_TOKEN"), arguments.project,
                     arguments.lang)
    if arguments.command == "import":
        return _import(client, arguments)
    if arguments.command == "check":
        return _check(client, arguments)
    if arguments.command == "follow":
        return _follow(client, arguments.model, arguments.json)
    if arguments.command == "events":
        for event in client.events(arguments.model):
            _print_event(event, arguments.json, client.language)
        return DONE
    details = client.wait(arguments.model)
    if arguments.json:
        print(json.dumps(details, ensure_ascii=False))
    return DONE


def main(argv: Optional[List[str]] = None) -> int:
    try:
        return _run(_arguments().parse_args(argv))
    except ImportFailed as failed:
        _print_failure(failed)
        return FAILED
    except KeyboardInterrupt:
        print("waybill.py: interrupted; the import goes on", file=sys.stderr)
        return INTERRUPTED
    except ApiError as error:
        print(f"waybill.py: {error}", file=sys.stderr)
        if error.status == 404:
            return FAILED
        return USAGE if error.status < 500 else UNREACHABLE
    except ConnectionError as error:
        print(f"waybill.py: {error}", file=sys.stderr)
        return UNREACHABLE
    except (OSError, ValueError) as error:
        print(f"waybill.py: {error}", file=sys.stderr)
        return USAGE


if __name__ == "__main__":
    sys.exit(main())
