"""A receiver of webhooks: prints what it is told, once it has made sure that VX11 tells it.

    VX11_WEBHOOK_SECRET=whsec_... python3 webhook_receiver.py 9099
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ["VX11_WEBHOOK_SECRET"]
seen = set()  # in a database, where a restart must not forget them


def verified(secret: str, headers, body: bytes) -> bool:
    sent = headers["webhook-timestamp"]
    if abs(time.time() - int(sent)) > 300:  # perhaps recorded, and sent again by somebody else
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{sent}.".encode() + body
    ours = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    theirs = (one.removeprefix("v1,") for one in headers["webhook-signature"].split(" "))
    return any(hmac.compare_digest(ours, one.encode()) for one in theirs)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not {"webhook-id", "webhook-timestamp", "webhook-signature"} <= {name.lower() for name in self.headers}:
            return self.answer(400)
        if not verified(SECRET, self.headers, body):
            return self.answer(401)
        if self.headers["webhook-id"] not in seen:  # the same one comes again where an answer was lost
            seen.add(self.headers["webhook-id"])
            told = json.loads(body)
            print(told["type"], told["data"]["request_id"], told["data"]["action_reason"], flush=True)
        self.answer(204)

    def answer(self, status: int):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
