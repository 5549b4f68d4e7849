"""The tracers that `overhead.py` compares, what they send to, and the programs that stand by."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DOCS = ["Open the security page.", "Press reset.", "Confirm by mail."]


def make_flat(wrap):
    def answer(prompt):
        return "Open the security page and press reset."

    return wrap(answer)


def make_rag(wrap):
    def retrieve(question):
        return DOCS

    def generate(question, docs):
        return "Open the security page and press reset."

    retrieve, generate = wrap(retrieve), wrap(generate)

    def answer(question):
        return generate(question, retrieve(question))

    return wrap(answer)


class Untraced:
    def __init__(self):
        self.flat, self.rag = make_flat(self.wrap), make_rag(self.wrap)

    def wrap(self, function):
        return function

    def flush(self):
        """Whatever the calls so far still have to do."""

    def finish(self):
        return 0


class Llmwatch(Untraced):
    def __init__(self):
        from llmwatch import settings
        from llmwatch.store import open_store
        from llmwatch.tracing import recorder

        self._store = open_store()
        recorder.configure(self._store.project("local", "demo"), settings.current())
        super().__init__()

    def wrap(self, function):
        from llmwatch.tracing import traced

        return traced(function)

    def finish(self):
        return spool_rows(self._store.root)


class Weave(Untraced):
    def __init__(self):
        from weave.trace.context import weave_client_context
        from weave.trace.weave_client import WeaveClient

        self._server = FakeServer()
        self._client = WeaveClient("local", "demo", self._server, ensure_project_exists=False)
        weave_client_context.set_weave_client_global(self._client)
        super().__init__()

    def wrap(self, function):
        import weave

        return weave.op(function)

    def flush(self):
        self._client.flush()

    def finish(self):
        self._client.flush()
        return self._server.ended


class FakeServer:
    """Takes everything and keeps nothing but the ids of calls that ended."""

    def __init__(self):
        self.ended = 0
        self._file = os.open(os.environ["OVERHEAD_COUNT"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def call_start(self, req):
        return SimpleNamespace(id=req["start"]["id"], trace_id=req["start"]["trace_id"])

    def call_end(self, req):
        self.ended += 1
        os.write(self._file, req["end"]["id"].encode() + b"\n")
        return SimpleNamespace()

    def obj_create(self, req):
        import hashlib

        return SimpleNamespace(digest=hashlib.sha256(repr(req).encode()).hexdigest()[:43])

    def file_create(self, req, *args, **kwargs):
        return SimpleNamespace(digest="f" * 43)

    def __getattr__(self, name):
        if name.startswith("_") or "processor" in name:
            raise AttributeError(name)
        return lambda *_, **__: SimpleNamespace(digest="0" * 43)


class Otel(Untraced):
    def __init__(self):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        url = os.environ["OVERHEAD_COLLECTOR"] + "/v1/traces"
        self._provider = TracerProvider()
        # Room for a whole block: with the default queue most spans of a loop are dropped.
        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url), max_queue_size=1 << 16)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("overhead")
        super().__init__()

    def wrap(self, function):
        tracer, name = self._tracer, function.__name__

        def traced(*args):
            with tracer.start_as_current_span(name) as span:
                span.set_attribute("input", str(args[0]) if len(args) == 1 else str(args))
                output = function(*args)
                span.set_attribute("output", str(output))
                return output

        return traced

    def flush(self):
        self._provider.force_flush()

    def finish(self):
        self._provider.force_flush()
        return 0  # the collector counts


TRACER = {"none": Untraced, "llmwatch": Llmwatch, "weave": Weave, "weave-wal": Weave, "otel": Otel}


def spool_rows(store):
    files = Path(store).rglob("spool/traces/*.jsonl")
    return sum(path.read_bytes().count(b'"t":"row"') for path in files)


# Programs of their own.


def collect():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    counted = [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                counted[0] += sum(len(scope.spans) for scope in resource.scope_spans)
            self._answer(b"")

        def do_GET(self):
            self._answer(str(counted[0]).encode())

        def _answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def compact(store):
    """Records calls of A or B as the others do, then times their way into the lake.

    A worker lives for as long as there is something to do, and keeps its database open while it is busy.
    """
    from llmwatch.store import open_store
    from llmwatch.stream import compact as compacting
    from llmwatch.stream.duck import Workbench

    tracer, bench = Llmwatch(), Workbench()
    project = open_store(store).project("local", "demo")
    for line in sys.stdin:
        what, calls, prompt = json.loads(line)
        work = tracer.flat if what == "A" else tracer.rag
        for _ in range(calls):
            work(prompt)
        spent = time.process_time()
        done = compacting.compact(project, "traces", seal=True, bench=bench)
        print(json.dumps([done.rows, time.process_time() - spent]), flush=True)


def busy(store):
    from llmwatch import settings
    from llmwatch.store import open_store
    from llmwatch.stream import compact as compacting
    from llmwatch.stream import spool

    os.nice(10)
    now = settings.Settings(store=store, worker=False)
    project = open_store(store).project("local", "busy")
    body = b'{"id":"%032d","op_name":"answer","inputs":{"question":"' + b"x" * 2000 + b'"}}'
    said = False
    while True:
        writer = spool.writer(project, "traces", now)
        for number in range(5000):
            writer.append("row", body % number)
        writer.rotate()
        if not said:
            print("busy", flush=True)
            said = True
        compacting.compact(project, "traces", settings=now)


if __name__ == "__main__":
    {"collect": collect, "compact": compact, "busy": busy}[sys.argv[1]](*sys.argv[2:])
