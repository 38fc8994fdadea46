"""Asks a model of protocol tensorflow over gRPC.

    pip install grpcio tensorflow-protobuf        (or tensorflow-serving-api, which brings all of TensorFlow)
    python3 predict_tensorflow.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_tensorflow.py 192.0.2.10:80 --model iris --host iris.plant.example

What a client must send: calls to tensorflow.serving.PredictionService, without a path before it, with the name of the model in the
request; and either the headers (in gRPC's words, the metadata) `seldon`, the name of the model, and `namespace`, that of the Juju
model; or, where the model has a grpc-host, that host as the authority, which a client sends by itself if it connects to a name that
leads to the gateway.
"""

import argparse

import grpc
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

arguments = argparse.ArgumentParser()
arguments.add_argument("gateway", help="its address and port")
arguments.add_argument("--model")
arguments.add_argument("--namespace")
arguments.add_argument("--host")
asked = arguments.parse_args()

options = [("grpc.default_authority", asked.host)] if asked.host else []
headers = [] if asked.host else [("seldon", asked.model), ("namespace", asked.namespace)]
# For a gateway with a certificate: grpc.secure_channel(asked.gateway, grpc.ssl_channel_credentials(), options).
channel = grpc.insecure_channel(asked.gateway, options)

request = predict_pb2.PredictRequest()
request.model_spec.name = asked.model
flowers = request.inputs["flowers"]
flowers.dtype = types_pb2.DT_FLOAT
for size in [1, 4]:
    flowers.tensor_shape.dim.add(size=size)
flowers.float_val.extend([5.1, 3.5, 1.4, 0.2])
answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, metadata=headers, timeout=10)
for name, output in answer.outputs.items():
    print(answer.model_spec.name, name, list(output.float_val))
