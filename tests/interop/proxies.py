#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tcp_proxy between plain sockets, asyncio streams and our echo_server. As interop.py."""
import asyncio
import contextlib
import os
import pathlib
import random
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

from interop import CLIENTS, PATIENCE, check, connect, main, receive_all, running, server
from streams import many_clients


@contextlib.contextmanager
def proxy(programs, backend, port, end=signal.SIGTERM, ending=-signal.SIGTERM, **popen):
    command = [f'{programs}/tcp_proxy', '--backend', backend, '--listen', '127.0.0.1:0', '--to', f'127.0.0.1:{port}']
    with running(backend, command, end, ending, **popen) as address:
        yield int(address.rsplit(':', 1)[1])


def proxy_streams(programs, backend):
    """Every byte through the proxy to the echo and back, each connection half-closed."""
    with server(programs, backend) as port, proxy(programs, backend, port) as through:
        asyncio.run(asyncio.wait_for(many_clients(through, CLIENTS // 2), PATIENCE))


def proxy_without_target(programs, backend):
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        with proxy(programs, backend, bound.getsockname()[1]) as through, connect(through) as sock:
            sock.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                check(sock.recv(1) == b'', 'something came from nowhere')


def proxy_holds_back(programs, backend):
    """A target that does not read stops the client; what was sent is all there in the end."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with proxy(programs, backend, listener.getsockname()[1]) as through, connect(through) as client:
            target, _ = listener.accept()
            client.settimeout(1)
            block, sent = bytes(65536), 0
            with contextlib.suppress(TimeoutError):
                while sent < 200 << 20:
                    sent += client.send(block)
            check(sent < 200 << 20, 'nothing holds it back')
            client.shutdown(socket.SHUT_WR)
            target.settimeout(PATIENCE)
            got = 0
            while data := target.recv(1 << 20):
                got += len(data)
            check(got == sent, f'{got} bytes of {sent}')
            target.sendall(b'the other way')
            target.close()
            client.settimeout(PATIENCE)
            check(receive_all(client) == b'the other way', 'the other direction is closed')


def proxy_left_alone(programs, backend):
    """Clients that go in the middle of what they get: the proxy says nothing of it."""
    def send_without_end(target):
        with target, contextlib.suppress(ConnectionError):
            target.settimeout(PATIENCE)
            while True:
                target.sendall(bytes(1 << 20))

    with socket.create_server(('127.0.0.1', 0)) as listener, tempfile.TemporaryFile('w+') as said:
        with proxy(programs, backend, listener.getsockname()[1], stderr=said) as through:
            for _ in range(40):
                with connect(through) as client:
                    sender = threading.Thread(target=send_without_end, args=listener.accept()[:1])
                    sender.start()
                    client.settimeout(PATIENCE)
                    client.recv(3 << 20, socket.MSG_WAITALL)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                sender.join()
        said.seek(0)
        check((text := said.read()) == '', f'it says {text[:200]!r}')


def proxy_interrupted(programs, backend):
    """Ctrl+C while some are connected to a target that accepts nobody, and others are waiting for it: nothing is left behind,
    which AddressSanitizer sees."""
    with socket.create_server(('127.0.0.1', 0), backlog=1) as listener, contextlib.ExitStack() as clients:
        with proxy(programs, backend, listener.getsockname()[1], signal.SIGINT, 0) as through:
            for _ in range(10):
                clients.enter_context(connect(through)).sendall(b'x')
            accepted, _ = listener.accept()
            accepted.settimeout(PATIENCE)
            check(accepted.recv(1) == b'x', 'nothing comes through')
            accepted.close()


def only_child():
    return int(pathlib.Path(f'/proc/self/task/{threading.get_native_id()}/children').read_text())


def wait_for_descriptors(pid, count):
    deadline = time.monotonic() + PATIENCE
    while (now := len(os.listdir(f'/proc/{pid}/fd'))) != count:
        check(time.monotonic() < deadline, f'{now} descriptors, not {count}')
        os.sched_yield()


def proxy_impatient_client(programs, backend):
    """A client that resets its connection while the target does not take one: the attempt ends with it."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as listener, contextlib.ExitStack() as fillers:
        for _ in range(4):  # more than its queue takes: who comes now waits
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with proxy(programs, backend, listener.getsockname()[1]) as through:
            pid = only_child()
            before = len(os.listdir(f'/proc/{pid}/fd'))
            with connect(through) as client:
                client.sendall(b'early')
                wait_for_descriptors(pid, before + 2)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            wait_for_descriptors(pid, before)


def proxy_early_words(programs, backend):
    """What a client sends, and that it ends, before the target has taken the connection."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with proxy(programs, backend, listener.getsockname()[1]) as through, connect(through) as client:
            sent = random.Random(8).randbytes(1 << 20)
            sender = threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)))
            sender.start()
            target, _ = listener.accept()
            target.settimeout(PATIENCE)
            check(receive_all(target) == sent, 'not what was sent')
            target.sendall(b'answer')
            target.close()
            client.settimeout(PATIENCE)
            check(receive_all(client) == b'answer', 'no answer')
            sender.join()


if __name__ == '__main__':
    sys.exit(main((proxy_streams, proxy_without_target, proxy_holds_back, proxy_left_alone, proxy_impatient_client,
                   proxy_early_words, proxy_interrupted)))
