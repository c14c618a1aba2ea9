"""The reference inference service serves model packages as inference-code.md says."""
import json
import re
import signal
import threading
import time

import pytest

from conftest import ROOT
from inference import JSON, Service, form, write_package

DIGITS = ROOT / "examples/digits"
ECHO = """
from model_service.model_service import SingleNodeService
class Echo(SingleNodeService):
    def _inference(self, data):
        return {"type": type(data).__name__, "data": data}
"""
CUSTOM = {"model_algorithm": "echo", "model_type": "Custom"}


@pytest.fixture
def serve(request, tmp_path):
    """serve(code, config, files, **settings): a service that has loaded its package."""
    running = []

    def start(code=None, config=CUSTOM, files=(), wait=True, **settings):
        package = code if hasattr(code, "joinpath") else write_package(
            tmp_path / ("package-%d" % len(running)) / "model", code, config, files)
        service = Service(package, **settings)
        running.append(service)
        return service.ready() if wait else service
    yield start
    for service in running:
        service.stop(signal.SIGKILL)


def test_digits_predicts_what_the_sample_shows(serve):
    service = serve(DIGITS / "model")
    assert service.ask("GET", "/health").json == {"status": "ok"}
    answer = service.post((DIGITS / "sample.json").read_bytes())
    assert (answer.status, answer.json["digit"]) == (200, 3)
    assert answer.headers["content-type"] == "application/json"
    assert not list(DIGITS.rglob("__pycache__"))
    assert service.stop() == 0
    requests = [line.split(" ", 2)[2] for line in service.log if '" 200 ' in line]
    assert [line.split('"')[1] for line in requests] == ["GET /health", "POST /"]


# -- what the code finds --

BASES = [
    ("TensorFlow", "model_service.tfserving_model_service", "TfServingBaseService", True,
     "saved_model.pb", ""),
    ("PyTorch", "model_service.pytorch_model_service", "PTServingBaseService", True,
     "net.pth", "/net.pth"),
    ("MXNet", "mms.model_service.mxnet_model_service", "MXNetBaseService", True,
     "net.params", ""),
    ("Caffe", "model_service.caffe_model_service", "CaffeBaseService", True,
     "net.caffemodel", ""),
    ("XGBoost", "model_service.python_model_service", "XgSklServingBaseService", False,
     "tree.json", "/tree.json"),
    ("Scikit_Learn", "model_service.python_model_service", "XgSklServingBaseService", False,
     "svm.joblib", "/svm.joblib"),
    ("Spark_MLlib", "model_service.spark_model_service", "SparkServingBaseService", False,
     "spark_model", "/spark_model"),
    ("MindSpore", "model_service.model_service", "SingleNodeService", True, "net.ckpt", ""),
    ("ONNX", "model_service.pytorch_model_service", "PTServingBaseService", True, "net.onnx", ""),
    ("Custom", "model_service.python_model_service", "XgSklServingBaseService", False, "x.pkl",
     ""),
]


@pytest.mark.parametrize("engine, module, base, named, file, path", BASES)
def test_each_engine_has_its_class_constructor_and_model_path(serve, engine, module, base, named,
                                                              file, path):
    arguments = "model_name, model_path" if named else "model_path"
    service = serve(f"""
from {module} import {base}
class Own({base}):
    def __init__(self, {arguments}):
        super().__init__({arguments})
    def _inference(self, data):
        return [self.model_path, getattr(self, "model_name", None)]
""", {"model_algorithm": "algorithm", "model_type": engine}, [file])
    found, name = service.post({}).json
    assert found.endswith("/model" + path) and found.startswith("/")
    assert name == ("algorithm" if named else None)


@pytest.mark.parametrize("body", [{"a": [1, 2]}, {}])
def test_text_engines_get_the_json_text_that_answers_as_a_mapping_too(serve, body):
    service = serve("""
import json
from model_service.python_model_service import XgSklServingBaseService
class Own(XgSklServingBaseService):
    def _inference(self, data):
        loaded = json.loads(data)
        assert isinstance(data, str) and dict(data) == loaded and data.get("none") is None
        assert "none" not in data and all(key in data and data[key] == loaded[key]
                                          for key in data.keys())
        return loaded
""", {"model_type": "Scikit_Learn"}, ["a.pkl"])
    assert service.post(body).json == body


def test_preprocess_inference_postprocess_in_this_order(serve):
    service = serve("""
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _preprocess(self, data):
        return data["x"] + 1
    def _inference(self, data):
        return data * 10
    def _postprocess(self, data):
        return {"y": data}
""")
    assert service.post({"x": 1}).json == {"y": 20}


def test_a_class_without_inference_is_told_which_method_to_write(serve):
    service = serve("""
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    pass
""")
    answer = service.post({})
    assert answer.status == 500
    assert "Own has no method _inference(self, data): write it" in answer.json["error_msg"]


def test_code_beside_it_is_importable_and_its_folder_is_where_it_runs(serve, tmp_path):
    package = write_package(tmp_path / "own/model", """
import helper
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _inference(self, data):
        return [helper.WORD, open("words.txt").read()]
""", CUSTOM)
    (package / "helper.py").write_text("WORD = 'hello'")
    (package / "words.txt").write_text("world")
    assert serve(package).post({}).json == ["hello", "world"]


def test_a_foreign_config_says_nothing(serve):
    service = serve("""
from model_service.pytorch_model_service import PTServingBaseService
class Own(PTServingBaseService):
    def _inference(self, data):
        return self.model_path.rpartition("/")[2]
""", {"architectures": ["BertModel"], "apis": 3}, ["net.pt"])
    assert service.post({}).json == "net.pt"


def test_the_config_beside_the_model_directory_wins(serve, tmp_path):
    (tmp_path / "package-0").mkdir()
    (tmp_path / "package-0/waybill.json").write_text(
        '{"model_type": "Custom", "apis": [{"url": "/", "method": "GET"}]}')
    service = serve(ECHO, CUSTOM)
    assert service.ask("GET", "/?a=1").json["data"] == {"a": "1"}
    assert service.post({}).status == 405


def test_apis_of_the_config_are_the_routes(serve):
    service = serve(ECHO, {"model_type": "Custom", "apis": [
        {"url": "/", "method": "get"}, {"url": "/v1/predict", "method": "POST"}]})
    assert service.ask("GET", "/?a=1&a=2&b=%20c").json["data"] == {"a": "2", "b": " c"}
    assert service.ask("POST", "/v1/predict", '{"a": 1}', JSON).json["data"] == {"a": 1}
    answer = service.post({})
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    answer = service.ask("GET", "/nothing")
    assert answer.status == 404 and "/v1/predict" in answer.json["error_msg"]


# -- what is not ready says why --

NOT_READY = {
    "no code": (None, (), "customize_service.py is missing"),
    "no class": ("class Own: pass", (), "defines no class that derives from a base service"),
    "two classes": (ECHO + "\nclass Other(SingleNodeService): pass", (),
                    "defines 2 classes that derive from a base service, expected one: Echo, Other"),
    "syntax": ("def f(:", (), "SyntaxError"),
    "exit": ("import sys; sys.exit(3)", (), "SystemExit: 3 (customize_service.py, line 1)"),
    "import": ("\nimport nosuchmodule", (),
               "No module named 'nosuchmodule' (customize_service.py, line 2)"),
    "constructor": (ECHO + "    def __init__(self, a, b): raise ValueError('no\\nweights')", (),
                    "ValueError: no weights"),
}


@pytest.mark.parametrize("case", NOT_READY)
def test_health_says_why_a_package_cannot_be_served(serve, case):
    code, files, reason = NOT_READY[case]
    service = serve(code, files=files)
    for answer in service.ask("GET", "/health"), service.post({}):
        assert answer.status == 503 and answer.json["error_code"] == "Service.NotReady"
        assert reason in answer.json["error_msg"] and "\n" not in answer.json["error_msg"]
    assert reason.split(":")[0] in "".join(service.log)
    assert service.stop() == 0


def test_an_engine_whose_model_file_is_not_there_says_what_it_looked_for(serve):
    service = serve("""
from model_service.pytorch_model_service import PTServingBaseService
class Own(PTServingBaseService): pass
""", {"model_type": "PyTorch"}, ["a.pth", "b.pt"])
    assert service.ask("GET", "/health").json["error_msg"] == (
        "PyTorch: expected one file *.pth or *.pt in the package, found a.pth, b.pt")


def test_health_waits_while_a_model_is_loaded(serve, tmp_path):
    gate = tmp_path / "gate"
    service = serve(f"""
import os, time
while not os.path.exists({str(gate)!r}):
    time.sleep(0.01)
""" + ECHO, wait=False)
    answer = service.ask("GET", "/health")
    assert (answer.status, answer.json["error_msg"]) == (503, "the model is being loaded")
    assert service.post({}).headers["retry-after"] == "1"
    gate.touch()
    assert service.ready().ask("GET", "/health").status == 200


# -- what comes in --

def test_multipart_files_and_fields(serve):
    service = serve("""
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _inference(self, data):
        return {name: {file: [content.read(3).decode("latin-1"), content.seek(0, 2)]
                       for file, content in value.items()} if isinstance(value, dict) else value
                for name, value in data.items()}
""")
    large = b"abc" + b"\r\n--" * 700_000  # more than stays in memory, and full of half marks
    body, headers = form(("images", "a.png", large), ("images", "图.png", b""),
                         ("images", r"C:\x\..\c.png", b"1"), ("note", None, "Grüße".encode()),
                         ("images2", "../../etc/passwd", b"\r\n"))
    assert service.ask(body=body, headers=headers).json == {
        "images": {"a.png": ["abc", len(large)], "图.png": ["", 0], "c.png": ["1", 1]},
        "note": "Grüße", "images2": {"passwd": ["\r\n", 2]}}


BAD_FORMS = {
    "no boundary": (b"", "multipart/form-data", "expected a boundary"),
    "boundary too long": (b"", "multipart/form-data; boundary=" + "x" * 71, "1 to 70"),
    "nothing": (b"", "multipart/form-data; boundary=b", "before the first part, expected"),
    "cut in a head": (b"--b\r\nContent-Disp", "multipart/form-data; boundary=b", "head of part 1"),
    "cut in a part": (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nxx',
                      "multipart/form-data; boundary=b", "part 1 (a)"),
    "no name": (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
                "multipart/form-data; boundary=b", 'name="…"'),
    "no colon": (b"--b\r\nnonsense\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b",
                 "'nonsense'"),
    "after the boundary": (b"--bx\r\n", "multipart/form-data; boundary=b", "'x\\r'"),
    "not UTF-8": (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--',
                  "multipart/form-data; boundary=b", "a is not UTF-8"),
    "text and file": (form(("a", None, b"1"), ("a", "f", b"1"), boundary="b")[0],
                      "multipart/form-data; boundary=b", "both a text and a file"),
    "too many parts": (form(*[("a", None, b"")] * 1001, boundary="b")[0],
                       "multipart/form-data; boundary=b", "more than 1000 parts"),
    "head too large": (b"--b\r\nX: " + b"x" * 20000, "multipart/form-data; boundary=b",
                       "larger than 16384"),
}


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    service = Service(write_package(tmp_path_factory.mktemp("echo") / "model", ECHO, CUSTOM),
                      head_seconds=1, body_seconds=1, max_body_mib=1).ready()
    yield service
    service.stop(signal.SIGKILL)


@pytest.mark.parametrize("case", BAD_FORMS)
def test_a_bad_form_is_answered_400_with_its_place(echo, case):
    body, content_type, message = BAD_FORMS[case]
    answer = echo.ask(body=body, headers={"Content-Type": content_type})
    assert (answer.status, answer.json["error_code"]) == (400, "Service.BadMultipart"), answer
    assert message in answer.json["error_msg"]


@pytest.mark.parametrize("body, message", [
    (b"", "the body is empty"), (b" ", "the body is empty"), (b"{", "line 1, column 2"),
    (b'{"a":\n tru}', "line 2, column 2"), (b"\xff", "not UTF-8: byte 0"),
    (b'{"a": NaN}', "NaN is no JSON value"), (b"[" * 200_000, "nested too deeply"),
    (b"1" * 5000, "the body is not JSON"),
], ids=lambda value: str(value)[:40])
def test_bad_json_is_answered_400_with_its_place(echo, body, message):
    answer = echo.ask(body=body, headers=JSON)
    assert (answer.status, answer.json["error_code"]) == (400, "Service.BadJson")
    assert message in answer.json["error_msg"]


@pytest.mark.parametrize("content_type, found", [
    (None, "Content-Type is missing"), ("text/plain", "Content-Type is text/plain"),
    ("application/x-www-form-urlencoded", "expected application/json or multipart/form-data")])
def test_another_content_type_is_answered_415(echo, content_type, found):
    answer = echo.ask(body=b"{}", headers={"Content-Type": content_type} if content_type else {})
    assert answer.status == 415 and found in answer.json["error_msg"]


@pytest.mark.parametrize("content_type", [
    "application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
def test_json_by_any_of_its_names(echo, content_type):
    answer = echo.ask(body="\ufeff{}".encode(), headers={"Content-Type": content_type})
    assert answer.json == {"type": "dict", "data": {}}


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("raw, status", [
    (b"\r\nnonsense\r\n\r\n", 400), (b"nonsense\r\n\r\n", 400), (b"GET /\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\n\r\n", 505), (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n Folded: x\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", 400),
    (b"GET x HTTP/1.1\r\n\r\n", 400), (b"GET /\x01 HTTP/1.1\r\n\r\n", 404),
    (b"GET http://[x/ HTTP/1.1\r\n\r\n", 400), (b"GET //[x/ HTTP/1.1\r\n\r\n", 404),
    (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
    (b"BREW /health HTTP/1.1\r\n\r\n", 405), (b"DELETE / HTTP/1.1\r\n\r\n", 405),
    (HEAD + b"\r\n", 411), (HEAD + b"Content-Length: x\r\n\r\n", 400),
    (HEAD + b"Content-Length: -1\r\n\r\n", 400), (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
    (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
    (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
    (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    (HEAD + b"Content-Length: 1048577\r\n\r\n", 413),
    (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
    (HEAD + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}", 417),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 40_000, 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"80000\r\n" + b" " * 0x80000 + b"\r\n"
     + b"80001\r\n" + b" " * 0x80001, 413),
    (HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n", 200),
    (b"GET", 408), (b"POST / HTTP/1.1\r\n", 408), (HEAD + b"Content-Length: 2\r\n\r\n{", 408),
], ids=lambda value: str(value)[-60:])
def test_every_request_has_its_answer_and_none_ends_the_service(echo, raw, status):
    answer = echo.send(raw)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    if status >= 400:
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error_code", "error_msg"}
    assert echo.ask("GET", "/health").status == 200


def test_a_connection_serves_several_requests_and_sends_the_body_when_asked(echo):
    answer = echo.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
                       b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_refused_body_that_is_still_being_sent_gets_its_answer(echo):
    answer = echo.ask(body=b" " * (8 << 20), headers=JSON)
    assert answer.status == 413 and "1 MiB" in answer.json["error_msg"]


def test_the_log_is_a_line_a_request_whatever_stands_in_it(echo):
    echo.send(b"GET /\x1b[31mred\xe9 HTTP/1.1\r\nConnection: close\r\n\r\n")
    time.sleep(0.2)
    [line] = [line for line in echo.log if "red" in line]
    assert "\x1b" not in line and r"\x1b[31mred" in line and " 404 " in line


# -- what goes wrong in the code --

def test_an_exception_is_answered_500_and_its_traceback_is_in_the_log(serve):
    service = serve("""
import sys
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _inference(self, data):
        if data["how"] == "exit":
            sys.exit(1)
        if data["how"] == "nan":
            return float("nan")
        if data["how"] == "object":
            return object()
        raise KeyError("label")
""")
    for how, message in [("raise", "KeyError: 'label' (customize_service.py, line 12)"),
                         ("exit", "SystemExit: 1"), ("nan", "not JSON compliant"),
                         ("object", "type object cannot be made JSON")]:
        answer = service.post({"how": how})
        assert (answer.status, answer.json["error_code"]) == (500, "Service.InferenceFailed")
        assert message in answer.json["error_msg"]
    assert service.ask("GET", "/health").status == 200
    assert any(line.startswith("Traceback") for line in service.log)
    assert any("KeyError: 'label'" in line for line in service.log)


SLOW = """
import os, time
from model_service.model_service import SingleNodeService
class Slow(SingleNodeService):
    def _inference(self, data):
        while not os.path.exists(%r):
            time.sleep(0.01)
        return "done"
"""


def in_background(count, call):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(call())) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_queue_is_answered_503_and_health_answers_meanwhile(serve, tmp_path):
    gate = tmp_path / "gate"
    service = serve(SLOW % str(gate), threads=2, queue=1)
    threads, answers = in_background(8, lambda: service.post({}))
    until(lambda: len(answers) == 5)
    assert all(answer.status == 503 and answer.json["error_code"] == "Service.TooBusy"
               and answer.headers["retry-after"] == "1" for answer in answers)
    assert service.ask("GET", "/health").status == 200
    gate.touch()
    for thread in threads:
        thread.join(20)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 5


def test_sigterm_lets_a_running_request_end(serve, tmp_path):
    gate = tmp_path / "gate"
    service = serve(SLOW % str(gate))
    threads, answers = in_background(1, lambda: service.post({}))
    time.sleep(0.3)
    service.process.send_signal(signal.SIGTERM)
    until(lambda: any("stopping" in line for line in service.log))
    assert service.process.poll() is None
    gate.touch()
    threads[0].join(20)
    assert (answers[0].status, answers[0].json, service.process.wait(10)) == (200, "done", 0)


def test_sigterm_does_not_wait_for_ever(serve, tmp_path):
    service = serve(SLOW % str(tmp_path / "never"), stop_seconds=1)
    def ask():
        with pytest.raises(Exception):
            service.post({})
    threads, _ = in_background(1, ask)
    time.sleep(0.3)
    began = time.monotonic()
    assert service.stop() == 0 and 0.9 < time.monotonic() - began < 5
    threads[0].join(20)


def test_slow_and_idle_clients_hold_no_thread(serve):
    service = serve(ECHO, threads=1, queue=1, connections=50)
    import socket
    idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(40)]
    for peer in idle[::2]:
        peer.sendall(HEAD + b"Content-Length: 10\r\n\r\n{")
    assert service.post({"a": 1}).status == 200
    more = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(11)]
    until(lambda: service.ask("GET", "/health").status == 503)
    for peer in idle + more:
        peer.close()
    until(lambda: service.ask("GET", "/health").status == 200)


def test_answers_of_numpy_are_json(serve):
    service = serve("""
import numpy
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def _inference(self, data):
        return {"a": numpy.arange(3), "b": numpy.float32(0.5), "c": {1}}
""")
    assert service.post({}).json == {"a": [0, 1, 2], "b": 0.5, "c": [1]}


@pytest.mark.parametrize("name, value", [("port", "x"), ("threads", "0"), ("queue", "-1")])
def test_a_bad_setting_is_named(tmp_path, name, value):
    with pytest.raises(AssertionError, match=re.escape("WAYBILL_SERVICE_%s is '%s', expected"
                                                       % (name.upper(), value))):
        Service(tmp_path, **{name: value})
