"""Receives OTLP traces over HTTP and gRPC, with the official definitions, and prints each span as a line of JSON."""

import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

reporting = threading.Lock()


def value(of):
    return of.string_value or of.int_value or [one.string_value for one in of.array_value.values]


def report(request):
    for resource_spans in request.resource_spans:
        resource = {a.key: a.value.string_value for a in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                line = {
                    "service": resource.get("service.name"),
                    "namespace": resource.get("service.namespace"),
                    "name": span.name,
                    "kind": span.kind,
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "attributes": {a.key: value(a.value) for a in span.attributes},
                }
                # Several threads report at once; a line must not be torn.
                with reporting:
                    print("SPAN " + json.dumps(line), flush=True)


class OverHttp(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            self.send_error(404)
            return
        report(messages.ExportTraceServiceRequest.FromString(body))
        answer = messages.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class OverGrpc(service.TraceServiceServicer):
    def Export(self, request, context):
        report(request)
        return messages.ExportTraceServiceResponse()


web = ThreadingHTTPServer(("127.0.0.1", 0), OverHttp)
rpc = grpc.server(futures.ThreadPoolExecutor(4))
service.add_TraceServiceServicer_to_server(OverGrpc(), rpc)
rpc_port = rpc.add_insecure_port("127.0.0.1:0")
rpc.start()
print(f"PORTS http={web.server_port} grpc={rpc_port}", flush=True)
try:
    web.serve_forever()
finally:
    rpc.stop(None)
    sys.exit(0)
