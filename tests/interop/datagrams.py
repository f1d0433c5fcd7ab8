#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udp_echo against other people's: Python's asyncio endpoints and plain sockets, socat. As interop.py."""
import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from interop import PATIENCE, check, main, running

MESSAGES = 4000
IN_FLIGHT = 16


def udp_server(programs, backend, host='127.0.0.1'):
    return running(backend, [f'{programs}/udp_echo', '--backend', backend, '--host', host, '--port', '0'],
                   end=signal.SIGINT)


def unix_server(programs, backend, path):
    return running(backend, [f'{programs}/udp_echo', '--backend', backend, '--unix', path], end=signal.SIGINT)


def port_of(address):
    return int(address.rsplit(':', 1)[1])


class Client(asyncio.DatagramProtocol):
    """Keeps a number of datagrams in flight; each must come back as it was, in order."""

    def __init__(self, largest):
        self.chance = random.Random(5)
        self.largest = largest
        self.waiting = []
        self.sent = self.received = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        for _ in range(IN_FLIGHT):
            self.send()

    def send(self):
        if self.sent < MESSAGES:
            self.sent += 1
            data = self.chance.randbytes(self.chance.randrange(1, self.largest))
            self.waiting.append(data)
            self.transport.sendto(data)

    def datagram_received(self, data, addr):
        if data != self.waiting.pop(0):
            self.done.set_exception(RuntimeError(f'datagram {self.received} is another one'))
        self.received += 1
        self.send()
        if self.received == MESSAGES:
            self.done.set_result(None)

    def error_received(self, error):
        if not self.done.done():
            self.done.set_exception(error)


def asyncio_udp(programs, backend):
    async def run(port):
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(lambda: Client(4000),
                                                                remote_addr=('127.0.0.1', port))
        await asyncio.wait_for(client.done, PATIENCE)
        transport.close()
    with udp_server(programs, backend) as address:
        asyncio.run(run(port_of(address)))


def asyncio_unix(programs, backend):
    async def run(path, own):
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(
            lambda: Client(4000), local_addr=own, remote_addr=path, family=socket.AF_UNIX)
        await asyncio.wait_for(client.done, PATIENCE)
        transport.close()
    with tempfile.TemporaryDirectory() as folder:
        with unix_server(programs, backend, f'{folder}/server') as path:
            asyncio.run(run(path, f'{folder}/client'))


def plain_udp(programs, backend):
    """Empty datagrams, the largest ones, and clients that vanish before they are answered."""
    with udp_server(programs, backend) as address, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(('127.0.0.1', port_of(address)))
        for _ in range(100):
            with socket.socket(type=socket.SOCK_DGRAM) as rude:
                rude.sendto(b'gone', ('127.0.0.1', port_of(address)))
        for size in (0, 1, 65507, 0, 1472):
            data = os.urandom(size)
            sock.send(data)
            check(sock.recv(65536) == data, f'{size} bytes came back as something else')


def udp_ipv6(programs, backend):
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind(('::1', 0))
    except OSError as error:
        return f'no IPv6: {error}'
    with sock, udp_server(programs, backend, '::1') as address:
        sock.settimeout(PATIENCE)
        sock.sendto(b'six', ('::1', port_of(address)))
        check(sock.recv(10) == b'six', 'no echo')
    return None


def udp_port_in_use(programs, backend):
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(('127.0.0.1', 0))
        outcome = subprocess.run([f'{programs}/udp_echo', '--backend', backend, '--port',
                                  str(taken.getsockname()[1])], capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode != 0, 'it claims to listen on a port in use')
        check('in use' in outcome.stderr, f'it says {outcome.stderr!r}')


def socat_echo(tool, target, data):
    """socat ends when nothing has come for a while behind the end of its input."""
    outcome = subprocess.run([tool, '-t', '0.3', '-', target], input=data, capture_output=True, timeout=PATIENCE)
    check(outcome.stdout == data, f'{len(outcome.stdout)} bytes came back')


def udp_socat(programs, backend):
    tool = shutil.which('socat')
    if not tool:
        return 'socat is not installed'
    with udp_server(programs, backend) as address:
        socat_echo(tool, f'UDP:127.0.0.1:{port_of(address)}', os.urandom(5000))
    return None


def unix_abstract(programs, backend):
    """@NAME is an abstract name, which is no file."""
    name = f'rondo-test-{os.getpid()}'
    with tempfile.TemporaryDirectory() as folder, unix_server(programs, backend, f'@{name}') as address:
        check(address == f'@{name}', f'it listens on {address}')
        check(not os.path.exists(f'@{name}'), 'there is a file')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(f'{folder}/client')
            sock.settimeout(PATIENCE)
            sock.sendto(b'hello', b'\0' + name.encode())
            check(sock.recv(100) == b'hello', 'no echo')


def unix_socat(programs, backend):
    tool = shutil.which('socat')
    if not tool:
        return 'socat is not installed'
    with tempfile.TemporaryDirectory() as folder:
        with unix_server(programs, backend, f'{folder}/server') as path:
            socat_echo(tool, f'UNIX-SENDTO:{path},bind={folder}/client', os.urandom(5000))
    return None


if __name__ == '__main__':
    sys.exit(main((asyncio_udp, asyncio_unix, plain_udp, udp_ipv6, udp_port_in_use, udp_socat, unix_abstract, unix_socat)))
