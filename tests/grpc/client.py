"""Calls every kind of method through the gateway and says what came, as JSON. Arguments: address, cookie."""

import json
import queue
import sys

import grpc

address, cookie = sys.argv[1:]
channel = grpc.insecure_channel(address, options=[("grpc.default_authority", "www.example.test")])
logged_in = (("cookie", cookie),)
forged = (("x-wechat-openid", "forged"), ("x-wxgate-jwt-assertion", "a.b.c"))
PATIENCE = 20


def path(name):
    return "/test.Shop/" + name


def status(error):
    return [error.code().name, error.details(), dict(error.trailing_metadata() or ())]


def failing(method, *arguments, **options):
    try:
        method(*arguments, **options)
    except grpc.RpcError as error:
        return status(error)
    raise AssertionError("no error")


def talk(method):
    """Sends each word only after the answer to the one before it."""
    words = queue.Queue()
    answers = []
    words.put(b"one")
    call = method(iter(words.get, None), metadata=logged_in, timeout=PATIENCE)
    for answer in call:
        answers.append(answer.decode())
        words.put({1: b"two", 2: b"three"}.get(len(answers)))
    return answers


unary = channel.unary_unary(path("Unary"))
answer, call = unary.with_call(b"hello", metadata=logged_in, timeout=PATIENCE)
seen = channel.unary_unary(path("Metadata"))(b"", metadata=logged_in + forged, timeout=PATIENCE)
numbers = channel.unary_stream(path("Count"))(b"1000", metadata=logged_in, timeout=PATIENCE)
sent = iter([str(number).encode() for number in range(1000)])
total = channel.stream_unary(path("Total"))(sent, metadata=logged_in, timeout=PATIENCE)
wait = channel.unary_unary(path("Wait"))
late = failing(wait, b"", metadata=logged_in, timeout=0.5)
watched = channel.unary_stream(path("Watch"))(b"", metadata=logged_in, timeout=PATIENCE)
begun = next(watched)
watched.cancel()

print(
    json.dumps(
        {
            "unary": answer.decode(),
            "trailers": dict(call.trailing_metadata()),
            "metadata": json.loads(seen),
            "count": sum(int(number) for number in numbers),
            "total": int(total),
            "talk": talk(channel.stream_stream(path("AnswerEach"))),
            "fail": failing(channel.unary_unary(path("Fail")), b"", metadata=logged_in, timeout=PATIENCE),
            "unknown": failing(channel.unary_unary(path("Nothing")), b"", metadata=logged_in, timeout=PATIENCE),
            "late": late[0],
            "watched": [begun.decode(), watched.code().name],
            "stranger": failing(unary, b"hello", timeout=PATIENCE)[:2],
        }
    )
)
