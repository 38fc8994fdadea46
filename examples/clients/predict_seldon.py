"""Asks a model of protocol seldon over gRPC.

    pip install seldon-core
    python3 predict_seldon.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_seldon.py 192.0.2.10:80 --host iris.plant.example

What a client must send: calls to seldon.protos.Seldon, without a path before it, and either the headers (in gRPC's words, the
metadata) `seldon`, the name of the model, and `namespace`, that of the Juju model; or, where the model has a grpc-host, that host as
the authority, which a client sends by itself if it connects to a name that leads to the gateway.
"""

import argparse

import grpc
from google.protobuf.json_format import MessageToDict
from seldon_core.proto import prediction_pb2, prediction_pb2_grpc

arguments = argparse.ArgumentParser()
arguments.add_argument("gateway", help="its address and port")
arguments.add_argument("--model")
arguments.add_argument("--namespace")
arguments.add_argument("--host")
arguments.add_argument("--times", type=int, default=1)
asked = arguments.parse_args()

options = [("grpc.default_authority", asked.host)] if asked.host else []
headers = [] if asked.host else [("seldon", asked.model), ("namespace", asked.namespace)]
# For a gateway with a certificate: grpc.secure_channel(asked.gateway, grpc.ssl_channel_credentials(), options).
channel = grpc.insecure_channel(asked.gateway, options)

flower = prediction_pb2.Tensor(shape=[1, 4], values=[5.1, 3.5, 1.4, 0.2])
request = prediction_pb2.SeldonMessage(data=prediction_pb2.DefaultData(tensor=flower))
for _ in range(asked.times):
    answer = prediction_pb2_grpc.SeldonStub(channel).Predict(request, metadata=headers, timeout=10)
    print(answer.meta.tags["version"].string_value, MessageToDict(answer.data))
