"""gRPC as others wrote it: a server, and a client that judges what stands between the two.

    ask_grpc.py serve                  prints its port, and serves until its standard input ends
    ask_grpc.py ask ADDRESS [CA_FILE]  tries every case; prints "ok NAME" or "FAILED NAME: why"
"""

import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "judge.Judge"
TIME = 20


class Service(grpc.GenericRpcHandler):
    """Messages are bytes, so there is nothing to generate."""

    def __init__(self):
        self.cancelled = threading.Event()

    def service(self, details):
        name = details.method.rsplit("/", 1)[-1]
        kinds = {
            "Echo": (grpc.unary_unary_rpc_method_handler, self.echo),
            "Count": (grpc.unary_stream_rpc_method_handler, self.count),
            "Sum": (grpc.stream_unary_rpc_method_handler, self.sum),
            "Chat": (grpc.stream_stream_rpc_method_handler, self.chat),
            "Fail": (grpc.unary_unary_rpc_method_handler, self.fail),
            "FailLate": (grpc.unary_stream_rpc_method_handler, self.fail_late),
            "Sleep": (grpc.unary_unary_rpc_method_handler, self.sleep),
            "WasCancelled": (grpc.unary_unary_rpc_method_handler, self.was_cancelled),
        }
        if name not in kinds:
            return None
        make, method = kinds[name]
        return make(method)

    def echo(self, request, context):
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-head", sent.get("x-text", "none")),))
        context.set_trailing_metadata((("x-tail-bin", sent.get("x-bytes-bin", b"none")),))
        return request

    def count(self, request, context):
        for number in range(int(request)):
            yield str(number).encode()

    def sum(self, requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def chat(self, requests, context):
        for request in requests:
            yield request.upper()

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this: 100 %, \u00e4")

    def fail_late(self, request, context):
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.DATA_LOSS, "after two")

    def sleep(self, request, context):
        context.add_callback(self.cancelled.set)
        time.sleep(float(request))
        return b"awake"

    def was_cancelled(self, request, context):
        answer = b"yes" if self.cancelled.wait(TIME) else b"no"
        self.cancelled.clear()
        return answer


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(80), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Service(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def cases(channel):
    unary = lambda name: channel.unary_unary(f"/{SERVICE}/{name}")

    def one():
        assert unary("Echo")(b"hello", timeout=TIME) == b"hello"

    def empty():
        assert unary("Echo")(b"", timeout=TIME) == b""

    def large():
        body = bytes(range(256)) * 12_000
        assert unary("Echo")(body, timeout=TIME) == body

    def metadata():
        sent = (("x-text", "some text"), ("x-bytes-bin", b"\x00\xff\x80"))
        answer, call = unary("Echo").with_call(b"x", timeout=TIME, metadata=sent)
        assert ("x-head", "some text") in call.initial_metadata(), call.initial_metadata()
        assert ("x-tail-bin", b"\x00\xff\x80") in call.trailing_metadata(), call.trailing_metadata()

    def compressed():
        body = b"a" * 100_000
        assert unary("Echo")(body, timeout=TIME, compression=grpc.Compression.Gzip) == body

    def answers_in_a_stream():
        answers = channel.unary_stream(f"/{SERVICE}/Count")(b"2000", timeout=TIME)
        assert [int(answer) for answer in answers] == list(range(2000))

    def requests_in_a_stream():
        pieces = [b"x" * 1000] * 500
        assert channel.stream_unary(f"/{SERVICE}/Sum")(iter(pieces), timeout=TIME) == b"500000"

    def both_ways_in_turn():
        heard = threading.Semaphore(1)

        def words():
            for word in (b"a", b"b", b"c"):
                assert heard.acquire(timeout=TIME), "no answer to the word before"
                yield word

        answers = []
        for answer in channel.stream_stream(f"/{SERVICE}/Chat")(words(), timeout=TIME):
            answers.append(answer)
            heard.release()
        assert answers == [b"A", b"B", b"C"], answers

    def error():
        code, details = status_of(lambda: unary("Fail")(b"", timeout=TIME))
        assert code == grpc.StatusCode.FAILED_PRECONDITION, code
        assert details == "not like this: 100 %, \u00e4", details

    def late_error():
        seen = []

        def each():
            for answer in channel.unary_stream(f"/{SERVICE}/FailLate")(b"", timeout=TIME):
                seen.append(answer)

        code, details = status_of(each)
        assert (code, details, seen) == (grpc.StatusCode.DATA_LOSS, "after two", [b"one", b"two"]), (code, seen)

    def unknown_method():
        code, _ = status_of(lambda: unary("Nothing")(b"", timeout=TIME))
        assert code == grpc.StatusCode.UNIMPLEMENTED, code

    def deadline():
        code, _ = status_of(lambda: unary("Sleep")(b"10", timeout=0.3))
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED, code
        assert unary("WasCancelled")(b"", timeout=2 * TIME) == b"yes", "the server was not told"

    def cancellation():
        call = unary("Sleep").future(b"10", timeout=TIME)
        time.sleep(0.3)
        call.cancel()
        assert unary("WasCancelled")(b"", timeout=2 * TIME) == b"yes", "the server was not told"

    def many_at_once():
        calls = [unary("Echo").future(str(number).encode() * 1000, timeout=TIME) for number in range(300)]
        for number, call in enumerate(calls):
            assert call.result() == str(number).encode() * 1000

    return [
        one, empty, large, metadata, compressed, answers_in_a_stream, requests_in_a_stream, both_ways_in_turn, error,
        late_error, unknown_method, deadline, cancellation, many_at_once,
    ]


def ask(address, authority=None):
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    if authority is None:
        channel = grpc.insecure_channel(address, options)
    else:
        with open(authority, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(address, credentials, options)
    for case in cases(channel):
        name = case.__name__.replace("_", " ")
        try:
            case()
            print(f"ok {name}", flush=True)
        except Exception as error:
            print(f"FAILED {name}: {' '.join(str(error).split()) or type(error).__name__}", flush=True)


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
