"""The model package: config.json, customize_service.py, and the one class in it."""
import fnmatch
import importlib.util
import inspect
import json
import os
import sys
import time
import traceback

from model_service.base import BaseService
from waybill_service.answers import HttpError, log
from waybill_service.fetch.listing import BadListing, read_listing
from waybill_service.fetch.model_files import ModelFiles

CODE = "customize_service.py"
MODULE = "customize_service"
# The model file of each engine; with an engine that is not here, model_path is the directory.
ENGINE_FILES = {
    "PyTorch": ("*.pth", "*.pt"),
    "XGBoost": ("*.m", "*.ubj", "*.bst", "*.json"),
    "Scikit_Learn": ("*.m", "*.joblib", "*.pkl"),
    "Spark_MLlib": ("spark_model",),
}
ENGINES = set(ENGINE_FILES) | {"TensorFlow", "MXNet", "Caffe", "MindSpore", "ONNX", "LLM",
                               "Custom", "Image"}


class NotReady(Exception):
    """Why the package cannot be served, in one line."""


def read_config(model_dir):
    """What the import took for the model's config, or {}: the one beside the model directory wins, as
    it did there. A config.json that is another program's (Hugging Face's is) says nothing to us."""
    for directory, name in ((os.path.dirname(model_dir), "waybill.json"),
                            (model_dir, "config.json")):
        try:
            with open(os.path.join(directory, name), encoding="utf-8-sig") as file:
                config = json.load(file)
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(config, dict) and config.get("model_type") in ENGINES:
            return config
    return {}


def routes(config):
    """{path: methods} of config.json's apis; POST / without any."""
    found = {}
    apis = config.get("apis")
    for api in apis if isinstance(apis, list) else []:
        if isinstance(api, dict):
            path, method = api.get("url", "/"), api.get("method", "POST")
            if isinstance(path, str) and isinstance(method, str):
                found.setdefault("/" + path.strip("/"), set()).add(method.upper())
    return found or {"/": {"POST"}}


def _matches(model_dir, patterns):
    """Of the first pattern group that matches: *.json counts only where nothing else does."""
    names = sorted(name for name in os.listdir(model_dir)
                   if not name.startswith(".") and name not in ("config.json", CODE))
    for group in ([p for p in patterns if p != "*.json"], [p for p in patterns if p == "*.json"]):
        found = [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in group)]
        if found:
            return found
    return []


def model_path(model_dir, engine, wants):
    """What the constructor is given: the model directory or the engine's file in it."""
    if engine is not None and engine not in ENGINE_FILES or wants is None:
        return model_dir
    patterns = ENGINE_FILES.get(engine, wants)
    found = _matches(model_dir, patterns)
    if len(found) == 1:
        return os.path.join(model_dir, found[0])
    if engine is None:
        return model_dir  # nobody says that there is one
    raise NotReady("%s: expected one file %s in the package, found %s" % (
        engine, " or ".join(patterns), ", ".join(found) or "none"))


def _import_code(path):
    sys.path.insert(1, os.path.dirname(path))  # modules beside it; ours come first
    spec = importlib.util.spec_from_file_location(MODULE, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # pickle looks classes up by it
    spec.loader.exec_module(module)
    return module


def find_class(module):
    classes = [value for value in vars(module).values()
               if inspect.isclass(value) and issubclass(value, BaseService)
               and value.__module__ == module.__name__]
    leaves = [cls for cls in dict.fromkeys(classes)
              if not any(other is not cls and issubclass(other, cls) for other in classes)]
    if not leaves:
        raise NotReady("%s defines no class that derives from a base service, such as "
                       "model_service.model_service.SingleNodeService" % CODE)
    if len(leaves) > 1:
        raise NotReady("%s defines %d classes that derive from a base service, expected one: %s"
                       % (CODE, len(leaves), ", ".join(cls.__name__ for cls in leaves)))
    return leaves[0]


def _load(model_dir, config):
    path = os.path.join(model_dir, CODE)
    if not os.path.isdir(model_dir):
        raise NotReady("there is no model: %s is no directory" % model_dir)
    if not os.path.isfile(path):
        raise NotReady("%s is missing: the package has no inference code, so nothing can be "
                       "predicted; write one class with _inference(self, data) into it" % CODE)
    cls = find_class(_import_code(path))
    model = model_path(model_dir, config.get("model_type"), cls.WANTS)
    name = config.get("model_algorithm")
    arguments = (name if isinstance(name, str) else "model", model) if cls.NAMED else (model,)
    return cls(*arguments)


def describe(error):
    """`ValueError: what (customize_service.py, line 7)`, in one line."""
    text = " ".join("".join(traceback.format_exception_only(type(error), error)).split())
    places = [frame for frame in traceback.extract_tb(error.__traceback__)
              if os.path.basename(frame.filename) == CODE]
    if places:
        text += " (%s, line %d)" % (CODE, places[-1].lineno)
    return text if len(text) <= 1000 else text[:999] + "…"


class Model:
    """What is served. Until `service` is set, not_ready() says why it is not.

    files: those of a dynamic model, else None. `routes` is None until the config is there."""

    def __init__(self, model_dir, listing_path):
        self.directory = os.path.abspath(model_dir)
        self.service, self.failed, self.reason = None, False, "the model is being loaded"
        self.files, self.files_there, self.bad_listing = None, False, None
        self.config, self.routes = {}, None
        try:
            listing = read_listing(listing_path)
        except BadListing as error:
            self.bad_listing = str(error)
            return
        if listing:
            self.files = ModelFiles(listing, self.directory)
        else:
            self._configure()

    def _configure(self):
        self.config = read_config(self.directory)
        self.routes = routes(self.config)
        if os.path.isdir(self.directory):
            os.chdir(self.directory)  # code that opens its files by relative names finds them

    def load(self):
        if self.bad_listing:
            self._fail(self.bad_listing)
        elif self.files and not self.files.fetch():
            self._fail(self.files.reason())
        else:
            if self.files:
                self._configure()
                self.files_there = True
            self._load_code()

    def not_ready(self):
        fields, reason, wait = {}, self.reason, None if self.failed else 1
        if self.files:
            status = "failed" if self.failed else "loading"
            if not self.files_there:
                status, reason = self.files.status(), self.files.reason()
                wait = self.files.retry_after()
            fields = {"status": status, **self.files.progress.fields()}
        elif self.bad_listing:
            fields, wait = {"status": "failed"}, None
            reason = self.bad_listing
        headers = [("Retry-After", str(wait))] if wait else []
        return HttpError(503, "Service.NotReady", reason, headers=headers, fields=fields)

    def _load_code(self):
        began = time.monotonic()
        try:
            service = _load(self.directory, self.config)
        except NotReady as error:
            self._fail(str(error))
        except BaseException as error:  # whatever a package's code raises, sys.exit() too
            traceback.print_exc(file=sys.stdout)
            self._fail("%s could not be loaded: %s" % (CODE, describe(error)))
        else:
            self.service = service
            log("loaded %s in %.2f s", type(service).__name__, time.monotonic() - began)

    def _fail(self, reason):
        self.reason, self.failed = reason, True
        log("not ready: %s", reason)
