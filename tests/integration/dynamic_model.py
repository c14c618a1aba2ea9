"""A dynamic model for the tests: its files, the listing in the image, and an empty model directory."""
import hashlib
import json
import random
import shutil
from pathlib import Path

from oci_layout import MANIFEST

CODE = """
import hashlib, os
from model_service.model_service import SingleNodeService
class Own(SingleNodeService):
    def __init__(self, model_name, model_path):
        super().__init__(model_name, model_path)
        self.found = {os.path.relpath(os.path.join(at, name), model_path):
                          hashlib.sha256(open(os.path.join(at, name), "rb").read()).hexdigest()
                      for at, _, names in os.walk(model_path) for name in names}
    def _inference(self, data):
        return self.found
"""
CONFIG = b'{"model_algorithm": "a", "model_type": "Custom"}'
REPOSITORY = "team/net"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class DynamicModel:
    """files: {path: bytes}. `directory` is the container's model directory."""

    def __init__(self, where, files=None, code=True):
        self.where = Path(where)
        self.files = {"weights.bin": noise(300_000), "sub/dir/more.bin": noise(5000, 2),
                      "empty.txt": b""} if files is None else dict(files)
        if code:
            self.files |= {"customize_service.py": CODE.encode(), "config.json": CONFIG}
        self.directory = self.where / "home/model"
        self.directory.mkdir(parents=True)
        self.listing = self.where / "home/dynamic.json"
        self.list()

    @property
    def blobs(self):
        return {digest_of(data): data for data in self.files.values()}

    @property
    def bytes(self):
        return sum(map(len, self.files.values()))

    def list(self, **changes):
        files = [{"path": path, "size": len(data), "digest": digest_of(data)}
                 for path, data in self.files.items()]
        self.listing.write_text(json.dumps({"version": 1, "repository": REPOSITORY, "files": files}
                                           | changes))

    def expected(self):
        return {path: digest_of(data)[7:] for path, data in self.files.items()}

    # -- what the sources hold --

    def write_files(self, where):
        for path, data in self.files.items():
            target = Path(where) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return where

    def write_blobs(self, where):
        folder = Path(where) / "blobs/sha256"
        folder.mkdir(parents=True)
        for digest, data in self.blobs.items():
            (folder / digest[7:]).write_bytes(data)
        return where

    def push(self, registry, repository=REPOSITORY):
        """As an artifact in ModelPack form, by skopeo."""
        layout = self.write_blobs(self.where / "layout")

        def add(data, media_type, **more):
            (layout / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
            return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)} | more
        layers = [add(data, "application/vnd.cncf.model.weight.v1.raw",
                      annotations={"org.cncf.model.filepath": path})
                  for path, data in self.files.items()]
        config = add(b"{}", "application/vnd.cncf.model.config.v1+json")
        manifest = add(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
                                   "artifactType": "application/vnd.cncf.model.manifest.v1+json",
                                   "layers": layers}).encode(), MANIFEST,
                       annotations={"org.opencontainers.image.ref.name": "latest"})
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        registry.push(layout, repository + ":1")
        shutil.rmtree(layout)
