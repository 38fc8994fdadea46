"""Sends a prediction request to a model with the protocol v2, over gRPC.

    pip install tritonclient[grpc]
    python3 predict_v2.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_v2.py 192.0.2.10:80 --model iris --host iris.plant.example

The client calls inference.GRPCInferenceService, without a path in front, with the name of the model in the request.
The call must have either the headers (gRPC metadata) `seldon`, the name of the model, and `namespace`, the name of the Juju model; or,
if the model has a `grpc-host`, that host as the authority, which a client sends automatically when it connects to a name that resolves
to the gateway.
"""

import argparse

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

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

request = service_pb2.ModelInferRequest(model_name=args.model)
flower = request.inputs.add(name="flower", datatype="FP64", shape=[1, 4])
flower.contents.fp64_contents.extend([5.1, 3.5, 1.4, 0.2])
answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=headers, timeout=10)
for output in answer.outputs:
    print(answer.model_name, output.name, list(output.contents.int64_contents))
