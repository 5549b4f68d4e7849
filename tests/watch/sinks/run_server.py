"""A stand-in for W&B's runs on the loopback: keeps history, files and artifacts as W&B's own programs upload them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import urlsplit

KEY = "0123456789abcdef0123456789abcdef01234567"


class Run:
    """What was uploaded of one run: lines of each streamed file by offset, as W&B keeps them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams: dict[str, dict[int, str]] = {}
        self.bucket: dict = {}
        self.files: dict[str, bytes] = {}

    def lines(self, file: str) -> list[str]:
        return [line for _, line in sorted(self.streams.get(file, {}).items())]

    @property
    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.lines("wandb-history.jsonl")]

    @property
    def summary(self) -> dict:
        found = self.lines("wandb-summary.json")
        return json.loads(found[-1]) if found else {}


class RunServer:
    """Listens, and keeps runs by name and artifacts by name and version."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: list[dict] = []
        self.blobs: dict[str, bytes] = {}
        self.unknown: list[str] = []
        self.away = False
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"server_": self})
        self._http = _Listener(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ERROR_REPORTING": "false",
        }

    def table(self, run: Run, key: str) -> list[list]:
        """The rows of an incremental table, in the order of its increments."""
        rows: list[list] = []
        for artifact in self.increments(run, key):
            (path,) = [name for name in artifact["files"] if name.endswith(".table.json")]
            rows += json.loads(artifact["files"][path])["data"]
        return rows

    def increments(self, run: Run, key: str) -> list[dict]:
        start = f"run-{run.name}-incr-{key.replace('/', '')}"
        return [a for a in self.artifacts if a["name"].startswith(start) and a["committed"]]

    # --- GraphQL --------------------------------------------------------------------------

    def graphql(self, query: str, given: dict):
        for name in (
            "RunResumeStatus", "UpsertBucket", "ServerFeaturesQuery", "CreateArtifactManifest", "CreateArtifactFiles",
            "UpdateArtifactManifest", "CommitArtifact", "CreateArtifact", "CreateRunFiles", "Viewer", "RunStoppedStatus",
            "ArtifactType", "OrganizationCoreWeaveOrganizationID",
        ):  # fmt: skip
            if re.search(rf"\b{name}\b", query):
                with self.lock:
                    return getattr(self, f"_{name}")(given)
        self.unknown.append(query)
        return {}

    def _RunResumeStatus(self, given):  # noqa: N802
        run = self.runs.get(given["name"])
        owner = {"id": "e", "name": given["entity"] or "team"}
        bucket = None
        if run is not None:
            history = run.lines("wandb-history.jsonl")
            bucket = {
                "id": run.name,
                "name": run.name,
                "summaryMetrics": json.dumps(run.summary),
                "displayName": run.bucket.get("displayName"),
                "logLineCount": 0,
                "historyLineCount": len(history),
                "eventsLineCount": 0,
                "historyTail": json.dumps(history[-1:]),
                "eventsTail": "[]",
                "config": run.bucket.get("config") or "{}",
                "tags": run.bucket.get("tags") or [],
                "notes": None,
                "wandbConfig": '{"t": 1}',
            }
        return {"model": {"id": "m", "name": given["project"], "entity": owner, "bucket": bucket}}

    def _UpsertBucket(self, given):  # noqa: N802
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], Run(given["name"]))
        run.bucket.update({key: value for key, value in given.items() if value is not None})
        project = {
            "id": "p",
            "name": given["project"],
            "entity": {"id": "e", "name": given["entity"] or "team"},
        }
        return {
            "upsertBucket": {
                "bucket": {
                    "id": run.name,
                    "name": run.name,
                    "displayName": run.bucket.get("displayName") or run.name,
                    "description": None,
                    "config": run.bucket.get("config") or "{}",
                    "sweepName": None,
                    "project": project,
                    "historyLineCount": len(run.lines("wandb-history.jsonl")),
                },
                "inserted": inserted,
            }
        }

    def _ServerFeaturesQuery(self, _):  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _Viewer(self, _):  # noqa: N802
        return {
            "viewer": {
                "id": "u", "entity": "team", "username": "team", "flags": "{}",
                "teams": {"edges": []}, "defaultEntity": {"name": "team"},
            }
        }  # fmt: skip

    def _RunStoppedStatus(self, _):  # noqa: N802
        return {"project": {"run": {"stopped": False}}}

    def _ArtifactType(self, _):  # noqa: N802
        return {"project": None}

    def _OrganizationCoreWeaveOrganizationID(self, _):  # noqa: N802
        return {"entity": {"organization": None}}

    def _CreateArtifact(self, given):  # noqa: N802
        told = given["input"]
        number = str(len(self.artifacts))
        artifact = {
            "id": number, "name": told["artifactCollectionName"], "type": told["artifactTypeName"],
            "run": told["runName"], "digest": told["digest"], "committed": False, "files": {},
        }  # fmt: skip
        self.artifacts.append(artifact)
        return {
            "createArtifact": {
                "artifact": {
                    "id": number,
                    "state": "PENDING",
                    "artifactSequence": {"latestArtifact": None},
                }
            }
        }

    def _CreateArtifactManifest(self, given):  # noqa: N802
        number = given["artifactID"] if "artifactID" in given else given["input"]["artifactID"]
        return {
            "createArtifactManifest": {
                "artifactManifest": {
                    "id": number,
                    "file": self._upload(f"manifest/{number}", number),
                }
            }
        }

    def _UpdateArtifactManifest(self, given):  # noqa: N802
        number = given["artifactManifestID"]
        return {
            "updateArtifactManifest": {
                "artifactManifest": {
                    "id": number,
                    "file": self._upload(f"manifest/{number}", number),
                }
            }
        }

    def _CreateArtifactFiles(self, given):  # noqa: N802
        edges = []
        for spec in given["input"]["artifactFiles"]:
            name = f"artifact/{spec['artifactID']}/{spec['name']}"
            edges.append(
                {
                    "node": {
                        **self._upload(name, spec["artifactID"]),
                        "name": spec["name"],
                        "storagePath": name,
                        "uploadMultipartUrls": None,
                        "artifact": {"id": spec["artifactID"]},
                    }
                }
            )
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, given):  # noqa: N802
        artifact = self.artifacts[int(given["artifactID"])]
        artifact["committed"] = True
        start = f"artifact/{artifact['id']}/"
        artifact["files"] = {
            path.removeprefix(start): data
            for path, data in self.blobs.items()
            if path.startswith(start)
        }
        return {
            "commitArtifact": {"artifact": {"id": artifact["id"], "digest": artifact["digest"]}}
        }

    def _CreateRunFiles(self, given):  # noqa: N802
        run = given["run"]
        return {
            "createRunFiles": {
                "runID": run,
                "uploadHeaders": [],
                "files": [
                    {"name": name, "uploadUrl": f"{self.url}/blob/run/{run}/{name}"}
                    for name in given["files"]
                ],
            }
        }

    def _upload(self, name: str, number: str) -> dict:
        return {
            "id": name,
            "name": PurePosixPath(name).name,
            "displayName": name,
            "uploadUrl": f"{self.url}/blob/{name}",
            "uploadHeaders": [],
        }

    # --- files ----------------------------------------------------------------------------

    def stream(self, run: str, told: dict) -> dict:
        with self.lock:
            kept = self.runs.setdefault(run, Run(run))
            for name, part in (told.get("files") or {}).items():
                lines = kept.streams.setdefault(name, {})
                for n, line in enumerate(part["content"]):
                    lines[part["offset"] + n] = line
        return {"limits": {}}

    def put(self, name: str, data: bytes) -> None:
        with self.lock:
            self.blobs[name] = data
            if name.startswith("run/"):
                _, run, path = name.split("/", 2)
                self.runs[run].files[path] = data


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_: RunServer

    def log_message(self, *_):
        pass

    def _answer(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        if self.server_.away:
            self._send(503, {})
            return
        path = urlsplit(self.path).path
        if path == "/graphql":
            told = json.loads(raw)
            try:
                found = self.server_.graphql(told["query"], told.get("variables") or {})
            except (KeyError, IndexError, TypeError) as error:
                self.server_.unknown.append(f"{error!r} in {told}")
                self._send(400, {"errors": [{"message": repr(error)}]})
                return
            self._send(200, {"data": found})
        elif path.endswith("/file_stream"):
            self._send(200, self.server_.stream(path.split("/")[-2], json.loads(raw)))
        elif path.startswith("/blob/"):
            self.server_.put(path.removeprefix("/blob/"), raw)
            self._send(200, {}, {"ETag": base64.b64encode(hashlib.md5(raw).digest()).decode()})
        else:
            self.server_.unknown.append(f"{self.command} {path}")
            self._send(404, {})

    def _send(self, status, body, headers=()):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - what http.server calls them
