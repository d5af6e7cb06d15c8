"""Stand-in of a hub of models: as much of its API as the client library asks of it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["HubServer"]

TOKEN = "hf_of_the_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Repositories in memory; a context that serves them on a port of this machine.

    Attributes:
        files: repository -> path -> content, of its last commit.
        private: Whether a repository is.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.large: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "Invalid credentials in Authorization header"})
        elif self.path == "/api/repos/create":
            self.create(json.loads(content))
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            self.answer(200, {"files": [self.how_to_upload(file["path"]) for file in files]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self.answer(200, {"objects": [self.upload(o) for o in json.loads(content)["objects"]]})
        elif "/commit/" in self.path:
            self.commit(self.path.split("/api/models/")[1].split("/commit/")[0], content)
        else:
            self.answer(404, {"error": "no such page"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == name
        self.server.large[name] = content
        self.answer(200, {})

    def do_GET(self) -> None:
        repository, _, rest = self.path[1:].partition("/resolve/")
        revision, _, path = rest.partition("/")
        files = self.server.files.get(repository)
        if files is None or revision not in ("main", COMMIT):
            code = "RepoNotFound" if files is None else "RevisionNotFound"
            self.answer(404, {"error": code}, {"X-Error-Code": code})
        elif path not in files:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
            self.answer(404, {"error": "EntryNotFound"}, headers)
        else:
            etag = hashlib.sha256(files[path]).hexdigest()
            self.answer(200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def create(self, spec: dict[str, Any]) -> None:
        name = f"{spec['organization']}/{spec['name']}"
        if name.startswith("others/"):
            self.answer(403, {"error": "You don't have the rights to create a model there"})
            return
        status = 409 if name in self.server.files else 200
        self.server.files.setdefault(name, {})
        # older clients say private, newer ones visibility
        self.server.private[name] = spec.get("private") or spec.get("visibility") == "private"
        self.answer(status, {"url": f"{self.server.address}/{name}", "id": name})

    def how_to_upload(self, path: str) -> dict[str, Any]:
        large = path.endswith(".safetensors")
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

    def upload(self, spec: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.server.address}/large/{spec['oid']}"
        return {**spec, "actions": {"upload": {"href": href}}}

    def commit(self, repository: str, content: bytes) -> None:
        files = self.server.files[repository]
        for line in content.splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif part["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        url = f"{self.server.address}/{repository}/commit/{COMMIT}"
        self.answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})

    def answer(
        self, status: int, content: dict[str, Any] | bytes, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
