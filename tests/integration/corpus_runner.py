"""The fault corpus: model packages that are broken (or sound) in one known way, each with the events
that an import of it must show.

A case is a file corpus/cases/NAME.json:
  name         what is broken, in a few words
  needs        [word, …]  what the program must have for it; see MISSING in test_corpus.py
  not_as_root  true: it means nothing to root
  files        {path: text | {"size": N, "byte": "x"} | {"json": VALUE} | {"base64": TEXT}};
               a path that ends with / is a directory
  links        {path: target}; fifos [path, …]; modes {path: octal text}
  platforms    ["linux/s390x", "host", …]: the base is an image index of these
  damage       {"layer" | "config" | "manifest" | "index.json" | "oci-layout":
               "missing" | "flipped" | "garbage"}, done to the case's own copy of the base
  bare         true: the runtime `corpus` is not registered first
  before       [[argument, …], …]  commands run first in the same data directory
  damage_kept  as damage, done to the blobs that the data directory keeps of the base, after `before`
  source       what to import, default the package
  args         further arguments of `waybill import`
  settings     {"section.key": value}  passed as --set
  slow         true: imported only, not checked as well
  unchecked    [path, …]  files of which it does not matter whether they are in the image
  expect       usage   true: exit status 2, a message (stderr: PATTERN), nothing recorded; or:
               exit    the exit status of import
               last    reason of the last event
               has     [{reason, type?, kind?, stage?, params?, evidence?}]: each must match an event;
                       a value in params or evidence may be {"re": PATTERN}
               count   {reason: N}
               hasnot  [reason, …]
               order   [reason, …] must appear in this order
In texts, "{pkg}" is the package's folder and "{base}" an OCI layout.

What else must hold of every import is in judge() and image_faults().
"""
import base64
import glob
import hashlib
import json
import os
import re
import shutil
import tarfile

from oci_layout import blob_path, damage, host_platform, image_blobs, make_base

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "corpus", "cases")
EVENTS = os.path.join(HERE, "..", "data", "events.json")
WHOLE_CONFIG = "config.json"  # the parameter of a fault that is not one field's


def load_cases():
    cases = {}
    for path in sorted(glob.glob(os.path.join(CASES, "*.json"))):
        with open(path) as file:
            cases[os.path.basename(path)[:-len(".json")]] = json.load(file)
    return cases


def load_texts():
    """The catalogue of the specification, by reason."""
    with open(EVENTS) as file:
        return {event["reason"]: event for event in json.load(file)}


def make_package(case, where, fill):
    os.makedirs(where, exist_ok=True)
    for path, content in case.get("files", {}).items():
        full = os.path.join(where, path)
        if path.endswith("/"):
            os.makedirs(full, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            if isinstance(content, str):
                file.write(fill(content).encode())
            elif "json" in content:
                text = json.dumps(content["json"], indent=2, ensure_ascii=False)
                file.write(fill(text).encode())
            elif "base64" in content:
                file.write(base64.b64decode(content["base64"]))
            else:
                file.write(content.get("byte", "\0").encode() * min(content["size"], 1))
                file.truncate(content["size"])
    for path, target in case.get("links", {}).items():
        full = os.path.join(where, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        os.symlink(fill(target), full)
    for path in case.get("fifos", []):
        os.mkfifo(os.path.join(where, path))
    for path, mode in case.get("modes", {}).items():
        os.chmod(os.path.join(where, path), int(mode, 8))


def matches(want, have):
    if isinstance(want, dict) and set(want) == {"re"}:
        return have is not None and re.search(want["re"], str(have)) is not None
    if isinstance(want, dict):
        return isinstance(have, dict) and all(matches(v, have.get(k)) for k, v in want.items())
    if isinstance(want, (int, float)) or isinstance(have, (int, float)):
        return str(want) == str(have)
    return want == have


def event_matches(want, event):
    return (event.get("reason") == want["reason"]
            and ("type" not in want or event.get("event_type") == want["type"])
            and all(event.get(key) == want[key] for key in ("kind", "stage") if key in want)
            and matches(want.get("params", {}), event.get("params") or {})
            and matches(want.get("evidence", {}), event.get("evidence") or {}))


def spoken(template, params, limit):
    """The catalogue's text with the parameters filled in; the 5G of one text is the limit in force."""
    template = template.replace("5G", "%sG" % limit) if limit else template
    return re.sub(r"\{(\w+)\}", lambda m: str((params or {}).get(m[1], m[0])), template)


def expected_files(case, package):
    """The files beneath the child directory, {path: SHA-256}; links are followed."""
    args = case.get("args", [])
    child = args[args.index("--child") + 1] if "--child" in args else "model"
    top, files = os.path.join(package, child), {}
    for folder, _, names in os.walk(top, followlinks=True):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), top)
            if path not in case.get("unchecked", []):
                with open(os.path.join(folder, name), "rb") as file:
                    files[path] = hashlib.sha256(file.read()).hexdigest()
    return files


def image_faults(waybill, case, package, model):
    """Opens the image of a sound import: every blob is its digest, and every file of the package is
    in it, byte for byte."""
    shown = waybill.run("show", model, "--json")
    try:
        digest = json.loads(shown.stdout)["image_digest"]
    except (ValueError, KeyError, TypeError):
        return ["show --json names no image_digest: %s" % str(shown)[:300]]
    hits = glob.glob(os.path.join(waybill.data, "**", "blobs", *digest.split(":")), recursive=True)
    if not hits:
        return ["no layout holds the manifest %s" % digest]
    layout = os.path.dirname(os.path.dirname(os.path.dirname(hits[0])))
    with open(hits[0]) as file:
        manifest = json.load(file)
    faults = []
    for blob in [{"digest": digest}, manifest["config"], *manifest["layers"]]:
        try:
            with open(blob_path(layout, blob["digest"]), "rb") as file:
                data = file.read()
        except OSError as error:
            faults.append(str(error))
            continue
        if ("sha256:" + hashlib.sha256(data).hexdigest() != blob["digest"]
                or len(data) != blob.get("size", len(data))):
            faults.append("blob %s is not what its descriptor says" % blob["digest"])
    if faults or "source" in case or "--dynamic" in case.get("args", []) or "SourceImageShared" in case["expect"].get("order", []):
        return faults
    found = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob_path(layout, layer["digest"])) as tar:
            for entry in tar:
                if entry.isfile():
                    content = tar.extractfile(entry).read()
                    found[entry.name] = hashlib.sha256(content).hexdigest()
    return ["%s is not in the image as it was" % path
            for path, digest in expected_files(case, package).items()
            if found.get("home/mind/model/" + path) != digest]


def parse(output):
    """(events, faults): every line of output must be an event object."""
    events, faults = [], []
    for line in output.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            faults.append("not an event object: %.80r" % line)
    return events, faults


def timeline_faults(status, events):
    """What holds of the timeline of every first import, whatever it came to."""
    faults = []
    by_seq = {event.get("seq"): event for event in events}
    if [event.get("seq") for event in events] != list(range(1, len(events) + 1)):
        faults.append("seq is not dense from 1: %s" % [event.get("seq") for event in events])
    times = [event.get("occur_time") for event in events]
    if not all(isinstance(time, int) and time > 1600000000000 for time in times):
        faults.append("occur_time is not ms since 1970")
    elif times != sorted(times):
        faults.append("occur_time falls")
    if any(event.get("attempt") != 1 or not event.get("stage") for event in events):
        faults.append("attempt is not 1, or a stage is missing")
    if events[0].get("reason") not in ("ImportStarted", "SystemUpgrading"):
        faults.append("first event is %s" % events[0].get("reason"))
    last = events[-1]
    if last.get("reason") not in ("ModelImported", "ImportFailed"):
        faults.append("last event is %s" % last.get("reason"))
    if status != (0 if last.get("reason") == "ModelImported" else 1):
        faults.append("exit status %d after %s" % (status, last.get("reason")))
    if last.get("reason") == "ImportFailed":
        cause = by_seq.get(last.get("cause"))
        if not cause or cause is last or cause.get("event_type") not in ("abnormal", "hint"):
            faults.append("ImportFailed names no cause that is an abnormal or hint event "
                          "(cause=%r)" % last.get("cause"))
    return faults


def template_pattern(template):
    """What a text that was made from the template (event/template.h) looks like."""
    pattern, at = "", 0
    while at < len(template):
        if template[at] != "{":
            pattern += re.escape(template[at])
            at += 1
            continue
        depth, end = 0, at
        while True:
            depth += {"{": 1, "}": -1}.get(template[end], 0)
            end += 1
            if depth == 0:
                break
        inside = template[at + 1:end - 1]
        if inside.startswith("?"):
            pattern += "(?:%s)?" % template_pattern(inside[1:])
        elif not inside.endswith((":if", ":unless")):
            pattern += "(?:.+)"
        at = end
    return pattern


def row_faults(event, row):
    """The event's texts are those of its kind's row, filled: no other row's, no bare message."""
    faults = []
    for key, texts, templates in (
            ("summary", [event["summary"]], [row["summary_en"]]),
            ("summary_cn", [event["summary_cn"]], [row["summary_zh"]]),
            ("advice", event["advice"], row["advice_en"]),
            ("advice_cn", event["advice_cn"], row["advice_zh"])):
        faults += ["%s of %s is of no template: %s" % (key, event["reason"], text)
                   for text in texts
                   if not any(re.fullmatch(template_pattern(template), text, re.S)
                              for template in templates)]
    return faults


def kind_rows(waybill):
    """{(reason, kind): row} of the kinds that the program has."""
    catalogue = json.loads(waybill.run("explain", "--json", check=True).stdout)
    return {(row["reason"], kind["kind"]): kind for row in catalogue for kind in row["kinds"]}


def assert_answered(waybill, event):
    """Of one problem event of a real run: it is answered whole, in both languages, by its kind."""
    row = kind_rows(waybill)[event["reason"], event.get("kind") or ""]
    assert not answer_faults(event) + row_faults(event, row), event


# An unfilled place of a template; what evidence brings in may have braces of its own.
PLACE = re.compile(r"\{\??\w[\w.]*(:\w+)?\}|\{\?")


def answer_faults(event):
    """Every problem says in both languages what is wrong and what to do; other events do not."""
    reason, answer = event.get("reason"), ("summary", "summary_cn", "advice", "advice_cn", "fix_by")
    if event.get("event_type") == "normal":
        return ["%s has %s" % (reason, key) for key in answer if key in event]
    said = [event.get("summary"), event.get("summary_cn"),
            *event.get("advice", [""]), *event.get("advice_cn", [""])]
    faults = ["%s says %r" % (reason, text) for text in said if not text or PLACE.search(text)]
    if event.get("summary") == event.get("event_info") and reason != "ImportCancelled":
        faults.append("%s: the summary lacks evidence: %s" % (reason, event.get("evidence")))
    if len(event.get("advice", [])) != len(event.get("advice_cn", [])):
        faults.append("%s: the languages differ in their steps" % reason)
    if not 1 <= len(event.get("advice", [])) <= 4:
        faults.append("%s: %d steps" % (reason, len(event.get("advice", []))))
    if event.get("fix_by") not in ("you", "admin", "wait"):
        faults.append("%s: fix_by is %r" % (reason, event.get("fix_by")))
    if not isinstance(event.get("retryable"), bool):
        faults.append("%s: retryable is %r" % (reason, event.get("retryable")))
    return faults


def event_faults(event, texts, case):
    """What holds of every event by itself: evidence, places, the texts of the specification."""
    faults, reason, params = [], event.get("reason"), event.get("params") or {}
    if event.get("event_type") == "abnormal" and reason != "ImportFailed" and not event.get("evidence"):
        faults.append("%s has no evidence" % reason)
    if reason == "ConfigValueInvalid" and params.get("parameter") != WHOLE_CONFIG:
        faults += ["ConfigValueInvalid of %s has no %s" % (params.get("parameter"), key)
                   for key in ("pointer", "line", "column", "found", "expected")
                   if key not in (event.get("evidence") or {})
                   and "pointer" not in case.get("loose", [])]
    faults += answer_faults(event)
    limit = case.get("settings", {}).get("limits.model_file_gib")
    for key, language in (("event_info", "en"), ("event_info_cn", "zh")):
        said = event.get(key)
        if not said or re.search(r"%[sd]|\{\w+\}", said):
            faults.append("%s: %s is %r" % (reason, key, said))
        elif reason in texts and said != spoken(
                texts[reason][language], params, limit if reason == "ModelFileTooLarge" else None):
            faults.append("%s: %s is %r, not the catalogue's" % (reason, key, said))
    return faults


def expectation_faults(want, status, events):
    faults = []
    reasons = [event.get("reason") for event in events]
    if "exit" in want and status != want["exit"]:
        faults.append("exit status %d, expected %d" % (status, want["exit"]))
    if "last" in want and reasons[-1] != want["last"]:
        faults.append("last event %s, expected %s" % (reasons[-1], want["last"]))
    for wanted in want.get("has", []):
        if not any(event_matches(wanted, event) for event in events):
            near = [{key: event.get(key) for key in
                     ("event_type", "kind", "stage", "params", "evidence")}
                    for event in events if event.get("reason") == wanted["reason"]]
            faults.append("missing %s; there is %s" % (
                json.dumps(wanted, ensure_ascii=False),
                json.dumps(near or reasons, ensure_ascii=False)))
    for reason, number in want.get("count", {}).items():
        if reasons.count(reason) != number:
            faults.append("%s stands %d times, expected %d" % (
                reason, reasons.count(reason), number))
    faults += ["%s must not appear" % reason
               for reason in want.get("hasnot", []) if reason in reasons]
    rest = iter(reasons)
    if not all(reason in rest for reason in want.get("order", [])):
        faults.append("%s is not the order in %s" % (want["order"], reasons))
    return faults


def judge(case, texts, status, output):
    events, faults = parse(output)
    if not events:
        return faults + ["no event at all"]
    faults += timeline_faults(status, events)
    for event in events:
        faults += event_faults(event, texts, case)
    return faults + expectation_faults(case["expect"], status, events)


def usage_faults(case, result, waybill):
    faults = []
    if result.returncode != 2 or result.stdout or not result.stderr.strip():
        faults.append("expected exit status 2 and a message: " + str(result)[:400])
    if not re.search(case["expect"].get("stderr", ""), result.stderr):
        faults.append("the message does not say %r: %s" % (
            case["expect"]["stderr"], result.stderr[:400]))
    models = waybill.run("models", "--json")
    if models.returncode or models.stdout:
        faults.append("nothing must be recorded: " + str(models)[:400])
    return faults


def named_paths(evidence):
    """Every path of the package that an event's evidence names."""
    for key in ("file", "path", "deeper"):
        if key in evidence:
            yield evidence[key]
    files = evidence.get("files")
    for one in [evidence.get("largest"), *evidence.get("top", []),
                *(files if isinstance(files, list) else [])]:
        if isinstance(one, dict):
            yield one["path"]


def place_faults(events, package):
    """What events about a package name is there, seen from the source."""
    return ["%s names %s, which is not in the source" % (event["reason"], path)
            for event in events
            if event["reason"] in ("ModelFileMissing", "ModelFileAmbiguous", "ModelFileTooLarge",
                                   "LfsPointerFound", "PackageNote", "ModelSizeCalculated")
            or event["reason"] == "SizeLimitExceeded" and event["params"]["what"] == "Model"
            for path in named_paths(event.get("evidence") or {})
            if not os.path.lexists(os.path.join(package, path))]


class Scene:
    """A case's package, its base and its data directory with all that comes before the import."""

    def __init__(self, name, case, waybill, base, where):
        self.case, self.waybill = case, waybill
        self.model = "corpus-" + name[:50]
        self.package = os.path.join(where, "pkg")
        self.base = str(base)
        if "platforms" in case or "damage" in case:
            self.base = os.path.join(where, "base")
            if "platforms" in case:
                make_base(self.base, [host_platform() if platform == "host" else platform
                                      for platform in case["platforms"]])
            else:
                shutil.copytree(base, self.base)
            if "damage" in case:
                damage(self.base, case["damage"])
        make_package(case, self.package, self.fill)
        self.settings = [part for key, value in case.get("settings", {}).items()
                         for part in ("--set", "%s=%s" % (key, self.fill(str(value))))]
        self.source = self.fill(case.get("source", "{pkg}"))
        self.arguments = [self.fill(argument) for argument in case.get("args", [])]
        before = [] if case.get("bare") else [
            ["runtime", "add", "corpus", "--image", "oci:%s:latest" % base]]
        for command in before + case.get("before", []):
            waybill.run(*self.settings, *(self.fill(part) for part in command), check=True)
        self.damage_kept(base, case.get("damage_kept", {}))

    def fill(self, text):
        return text.replace("{pkg}", self.package).replace("{base}", self.base)

    def damage_kept(self, base, what):
        """Of the base's blobs, in whatever layout of the data directory they are kept."""
        for which, how in what.items():
            name = os.path.basename(image_blobs(base)[which])
            [path] = glob.glob(os.path.join(self.waybill.data, "**", "sha256", name),
                               recursive=True)
            if how == "missing":
                os.unlink(path)
            else:
                with open(path, "r+b") as file:
                    file.write(b"not what it was")

    def index_names_model(self):
        for path in glob.glob(os.path.join(self.waybill.data, "**", "index.json"), recursive=True):
            with open(path) as file:
                if self.model in file.read():
                    return True
        return False

    def faults(self, texts):
        """Imports, and says what is not as the case expects it."""
        result = self.waybill.run(*self.settings, "import", self.source, "--name", self.model,
                                  "--json", *self.arguments)
        if self.case["expect"].get("usage"):
            return usage_faults(self.case, result, self.waybill)
        faults = judge(self.case, texts, result.returncode, result.stdout)
        rows = kind_rows(self.waybill)
        for event in parse(result.stdout)[0]:
            row = rows.get((event["reason"], event.get("kind") or ""))
            if row and event["reason"] != "ImportFailed":  # its texts are its cause's
                faults += row_faults(event, row)
        faults += place_faults(parse(result.stdout)[0], self.package)
        again = self.waybill.run("events", self.model, "--json")
        if again.stdout != result.stdout:
            faults.append("`events` shows another timeline than import printed: " + again.stderr)
        if result.returncode == 0:
            faults += image_faults(self.waybill, self.case, self.package, self.model)
        elif self.index_names_model():
            faults.append("a failed import left an image in the layout's index")
        if faults and result.stderr.strip():
            faults.append("stderr: " + result.stderr.strip()[-300:])
        return faults
