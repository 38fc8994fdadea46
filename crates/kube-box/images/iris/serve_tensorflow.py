"""Serves the model behind site.local/iris as TensorFlow Serving would: PredictionService over gRPC, and its paths over HTTP."""

import json
import os
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import joblib
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = joblib.load("/model/1.joblib")


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        flowers = request.inputs["flowers"]
        shape = [dim.size for dim in flowers.tensor_shape.dim]
        try:
            found = MODEL.predict_proba(np.reshape(flowers.float_val, shape))
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse(model_spec=request.model_spec)
        probabilities = answer.outputs["probabilities"]
        probabilities.dtype = types_pb2.DT_FLOAT
        for size in found.shape:
            probabilities.tensor_shape.dim.add(size=size)
        probabilities.float_val.extend(found.ravel())
        return answer


class Paths(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps({"predictions": MODEL.predict_proba(asked["instances"]).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


calls = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), calls)
calls.add_insecure_port(f"[::]:{os.environ['PREDICTIVE_UNIT_GRPC_SERVICE_PORT']}")
calls.start()
ThreadingHTTPServer(("", int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])), Paths).serve_forever()
