#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The server that the README shows is built as it stands there, but for its port, and serves.

usage: readme.py extract README.md OUTPUT.c
       readme.py run PROGRAM
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

PORT = "options.port = 7000;"


def extract(readme, output):
    page = pathlib.Path(readme).read_text(encoding="utf-8")
    programs = [block for block in re.findall(r"^```c\n(.*?)^```$", page, flags=re.S | re.M)
                if "int main(" in block]
    if len(programs) != 1 or programs[0].count(PORT) != 1:
        print(f"the README has {len(programs)} programs; there should be one, with one '{PORT}'")
        return 1
    program = programs[0].replace(PORT, 'options.port = (int) strtol(getenv("README_PORT"), NULL, 10);')
    pathlib.Path(output).write_text("#include <stdlib.h>\n" + program, encoding="utf-8")
    return 0


def connect(server, port):
    """A connection once it listens, or None when it has ended."""
    while server.poll() is None:
        try:
            return socket.create_connection(("localhost", port), timeout=30)
        except ConnectionRefusedError:
            continue
    return None


def serve_once(program, backend):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, "RONDO_BACKEND": backend, "README_PORT": str(port)}
    server = subprocess.Popen([program], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        client = connect(server, port)
        if client is None:
            print(f"{backend}: ended with {server.returncode}: {server.stderr.read().strip()}")
            return backend != "selector" and server.returncode == 1
        with client:
            sent = os.urandom(100000)
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        server.send_signal(signal.SIGINT)
        code = server.wait(timeout=30)
        print(f"{backend}: {len(received)} of {len(sent)} bytes came back, exit code {code}")
        return received == sent and code == 0
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def main():
    if sys.argv[1] == "extract":
        return extract(sys.argv[2], sys.argv[3])
    results = [serve_once(sys.argv[2], backend) for backend in ("selector", "proactor")]
    return 0 if all(results) else 1


sys.exit(main())
