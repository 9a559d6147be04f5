"""A gRPC server that knows nothing of wxgate. Says its port, then what happens to it, one line each."""

import json
import sys
import threading
from concurrent import futures

import grpc


def say(text):
    print(text, flush=True)


def unary(request, context):
    context.set_trailing_metadata((("calls-ended", "1"),))
    return request.upper()


def metadata(request, context):
    return json.dumps(dict(context.invocation_metadata())).encode()


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context):
    return str(sum(int(number) for number in requests)).encode()


def answer_each(requests, context):
    for request in requests:
        yield b"re: " + request


def fail(request, context):
    context.set_trailing_metadata((("reason", "not enough of it"),))
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")


def wait(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    say("waiting")
    ended.wait(30)
    say("cancelled" if ended.is_set() else "forgotten")
    return b""


def watch(request, context):
    """Says one thing and then nothing, until the other side has enough."""
    ended = threading.Event()
    context.add_callback(ended.set)
    yield b"begun"
    ended.wait(30)
    # Not by its deadline, which the server knows by itself.
    say("given up" if context.time_remaining() > 5 else "too late")


def main():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "AnswerEach": grpc.stream_stream_rpc_method_handler(answer_each),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Shop", handlers),))
    say(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    # Until the test goes away.
    sys.stdin.read()


main()
