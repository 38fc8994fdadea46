"""A sink for payload logs: keeps the CloudEvents that are sent to it, and shows them all, oldest first, to who asks."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = []


class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        EVENTS.append({"headers": {name.lower(): value for name, value in self.headers.items()}, "body": body})
        self.answer(b"")

    def do_GET(self):
        self.answer(json.dumps(EVENTS).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Sink).serve_forever()
