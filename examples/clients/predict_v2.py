"""Asks a model of protocol v2 over gRPC.

    pip install tritonclient[grpc]
    python3 predict_v2.py 192.0.2.10:80 --model iris --namespace edge
    python3 predict_v2.py 192.0.2.10:80 --model iris --host iris.plant.example

What a client must send: calls to inference.GRPCInferenceService, without a path before it, with the name of the model in the request;
and either the headers (in gRPC's words, the metadata) `seldon`, the name of the model, and `namespace`, that of the Juju model; or,
where the model has a grpc-host, that host as the authority, which a client sends by itself if it connects to a name that leads to
the gateway.
"""

import argparse

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

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

request = service_pb2.ModelInferRequest(model_name=asked.model)
flower = request.inputs.add(name="flower", datatype="FP64", shape=[1, 4])
flower.contents.fp64_contents.extend([5.1, 3.5, 1.4, 0.2])
answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=headers, timeout=10)
for output in answer.outputs:
    print(answer.model_name, output.name, list(output.contents.int64_contents))
