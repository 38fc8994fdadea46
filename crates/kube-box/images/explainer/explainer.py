"""An explainer as Seldon Core's own is for protocol seldon: alibi's AnchorTabular for the Iris models.

It takes the arguments that Seldon's operator gives, and answers where Seldon's own does. It was trained on the data set
that scikit-learn brings, so it needs no files; and it asks the model that it explains, through the model's own Service.
"""

import argparse
import functools
import json
import os
import socket
import sys
import types
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from sklearn.datasets import load_iris

# Of alibi this needs a tenth. Its packages' own beginnings would load what draws, and what sees images and reads texts.
for name in ("alibi", "alibi.explainers", "alibi.explainers.anchors", "alibi.utils"):
    package = types.ModuleType(name)
    package.__path__ = [f"/opt/alibi/{name.replace('.', '/')}"]
    sys.modules[name] = package
from alibi.explainers.anchors.anchor_tabular import AnchorTabular  # noqa: E402

PATHS = ("/api/v0.1/explain", "/api/v1.0/explain")
# Seconds that the model may take for one batch.
PATIENCE = 10


def address(host):
    """Of the model's Service, `<service>.<namespace>:<port>`: in a cluster without DNS the environment knows it too."""
    name, port = host.rsplit(":", 1)
    try:
        socket.getaddrinfo(name, port)
        return host
    except socket.gaierror:
        variable = name.split(".")[0].upper().replace("-", "_") + "_SERVICE_HOST"
        return f"{os.environ[variable]}:{port}"


def predict(host, rows):
    body = json.dumps({"data": {"ndarray": rows.tolist()}}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address(host)}/api/v1.0/predictions", body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return np.array(json.load(answer)["data"]["ndarray"])


@functools.cache
def explainer(host):
    """Made when it is first asked: it asks the model itself, which is not there yet when this begins."""
    iris = load_iris()
    made = AnchorTabular(functools.partial(predict, host), feature_names=iris.feature_names, seed=0)
    return made.fit(iris.data, disc_perc=(25, 50, 75))


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path not in PATHS:
            self.answer(404, {"error": f"explanations are at {' and '.join(PATHS)}"})
            return
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            row = np.array(asked["data"]["ndarray"], dtype=float)[0]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.answer(400, {"error": f"not a request of Seldon's with an ndarray: {error}"})
            return
        try:
            explanation = explainer(ARGUMENTS.predictor_host).explain(row, threshold=ARGUMENTS.threshold)
            self.answer(200, json.loads(explanation.to_json()))
        except Exception as error:  # Whatever it is, who asked should read it.
            self.answer(500, {"error": f"{type(error).__name__}: {error}"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


parser = argparse.ArgumentParser()
parser.add_argument("type", choices=["AnchorTabular"])
parser.add_argument("--predictor_host", required=True)
parser.add_argument("--protocol", choices=["seldon.http"], required=True)
parser.add_argument("--http_port", type=int, required=True)
parser.add_argument("--threshold", type=float, default=0.95)
ARGUMENTS, _ = parser.parse_known_args()
ThreadingHTTPServer(("", ARGUMENTS.http_port), Handler).serve_forever()
