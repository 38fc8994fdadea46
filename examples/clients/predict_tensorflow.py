"""Sends a prediction request to a model with the protocol tensorflow, over gRPC.

    pip install grpcio tensorflow-protobuf        (or tensorflow-serving-api, which brings all of TensorFlow)
    python3 predict_tensorflow.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_tensorflow.py 192.0.2.10:80 --model iris --host iris.plant.example

The client calls tensorflow.serving.PredictionService, without a path in front, with the name of the model in the request.
The call must have either the headers (gRPC metadata) `seldon`, the name of the model, and `namespace`, the name of the Juju model; or,
if the model has a `grpc-host`, that host as the authority, which a client sends automatically when it connects to a name that resolves
to the gateway.
"""

import argparse

import grpc
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("gateway", help="its address and port")
parser.add_argument("--model")
parser.add_argument("--namespace")
parser.add_argument("--host")
args = parser.parse_args()

options = [("grpc.default_authority", args.host)] if args.host else []
headers = [] if args.host else [("seldon", args.model), ("namespace", args.namespace)]
# For a gateway with a certificate: grpc.secure_channel(args.gateway, grpc.ssl_channel_credentials(), options).
channel = grpc.insecure_channel(args.gateway, options)

request = predict_pb2.PredictRequest()
request.model_spec.name = args.model
flowers = request.inputs["flowers"]
flowers.dtype = types_pb2.DT_FLOAT
for size in [1, 4]:
    flowers.tensor_shape.dim.add(size=size)
flowers.float_val.extend([5.1, 3.5, 1.4, 0.2])
answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, metadata=headers, timeout=10)
for name, output in answer.outputs.items():
    print(answer.model_spec.name, name, list(output.float_val))
