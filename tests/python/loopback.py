"""Imported first, it ends a script that asks for any address but this machine's: clients may want price lists and the like."""

import os
import sys

OURS = ("127.0.0.1", "::1", "localhost")


def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in OURS:
        print(f"asked for {host}", flush=True)
        os._exit(1)


sys.addaudithook(watch)
