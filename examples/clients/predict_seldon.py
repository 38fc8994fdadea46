"""Sends a prediction request to a model with the protocol seldon, over gRPC.

    pip install seldon-core
    python3 predict_seldon.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_seldon.py 192.0.2.10:80 --host iris.plant.example

The client calls seldon.protos.Seldon, without a path in front. The call must have either the headers (gRPC metadata)
`seldon`, the name of the model, and `namespace`, the name of the Juju model; or, if the model has a `grpc-host`, that host as the
authority, which a client sends automatically when it connects to a name that resolves to the gateway.
"""

import argparse

import grpc
from google.protobuf.json_format import MessageToDict
from seldon_core.proto import prediction_pb2, prediction_pb2_grpc

parser = argparse.ArgumentParser()
parser.add_argument("gateway", help="its address and port")
parser.add_argument("--model")
parser.add_argument("--namespace")
parser.add_argument("--host")
parser.add_argument("--times", type=int, default=1)
args = parser.parse_args()

options = [("grpc.default_authority", args.host)] if args.host else []
headers = [] if args.host else [("seldon", args.model), ("namespace", args.namespace)]
# For a gateway with a certificate: grpc.secure_channel(args.gateway, grpc.ssl_channel_credentials(), options).
channel = grpc.insecure_channel(args.gateway, options)

flower = prediction_pb2.Tensor(shape=[1, 4], values=[5.1, 3.5, 1.4, 0.2])
request = prediction_pb2.SeldonMessage(data=prediction_pb2.DefaultData(tensor=flower))
for _ in range(args.times):
    answer = prediction_pb2_grpc.SeldonStub(channel).Predict(request, metadata=headers, timeout=10)
    print(answer.meta.tags["version"].string_value, MessageToDict(answer.data))
