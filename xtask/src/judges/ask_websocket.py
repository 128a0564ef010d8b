"""WebSocket as others wrote it: an echo server, and the cases of the Autobahn suite, run by kosoku.

    ask_websocket.py serve           prints its port, and serves until its standard input ends
    ask_websocket.py ask HOST:PORT   tries the cases; prints "ok NAME" or "FAILED NAME: why"

The cases of compression (12 and 13) are left out: they take minutes, and a proxy only passes the bytes.
"""

import asyncio
import logging
import sys


async def serve():
    from websockets.asyncio.server import serve as listen

    # Broken connections are what the cases are about.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async with listen(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def ask(address):
    from kosoku import FailureError, run_fuzzingclient

    try:
        results = await run_fuzzingclient(address, None, ["12.*", "13.*"], concurrency=4)
    except FailureError as failure:
        results = failure.results
    for result in results:
        if result.passed:
            print(f"ok {result.case_id}")
        else:
            why = f"{result.behavior.value}, close {result.behavior_close.value}; {result.result}"
            print(f"FAILED {result.case_id}: {' '.join(why.split())}")


if __name__ == "__main__":
    asyncio.run({"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:]))
