#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""echo_server, echo_client, chat_server and watch_fd against nc, socat, Python's asyncio streams and plain sockets. As
interop.py."""
import asyncio
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from interop import CLIENTS, PATIENCE, Failed, check, connect, main, receive_all, running, server, unix_server

def plain_socket(programs, backend):
    """Half-close: what was sent before comes back, then the end of the stream."""
    with server(programs, backend) as port, connect(port) as sock:
        sock.sendall(b'hello')
        check(sock.recv(5, socket.MSG_WAITALL) == b'hello', 'no echo')
        sock.sendall(b'and goodbye')
        sock.shutdown(socket.SHUT_WR)
        check(receive_all(sock) == b'and goodbye', 'the rest is not there')


def late_reader(programs, backend):
    """A client that sends 8 MiB before it reads a byte, and half-closes."""
    data = random.Random(1).randbytes(8 << 20)
    with server(programs, backend) as port, connect(port) as sock:
        sock.setblocking(False)
        sent, back = 0, bytearray()
        while sent < len(data):
            try:
                sent += sock.send(data[sent:sent + 65536])
            except BlockingIOError:  # the server holds us up: now read
                sock.settimeout(PATIENCE)
                back += sock.recv(65536)
                sock.setblocking(False)
        sock.settimeout(PATIENCE)
        sock.shutdown(socket.SHUT_WR)
        back += receive_all(sock)
        check(back == data, f'{len(back)} bytes came back')


def rude_clients(programs, backend):
    """Resets, and closing without reading, hurt nobody else."""
    with server(programs, backend) as port, connect(port) as polite:
        for i in range(200):
            sock = connect(port)
            if i % 2:
                sock.sendall(b'x' * 1000)
            if i % 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()
        polite.sendall(b'still there?')
        check(polite.recv(12, socket.MSG_WAITALL) == b'still there?', 'the server lost its way')


def ends_with_clients(programs, backend):
    """SIGTERM while clients are connected."""
    with server(programs, backend) as port:
        socks = [connect(port) for _ in range(10)]
        socks[0].sendall(b'x')
        check(socks[0].recv(1) == b'x', 'no echo')
    for sock in socks:
        sock.close()


def port_in_use(programs, backend):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        outcome = subprocess.run([f'{programs}/echo_server', '--backend', backend, '--host', '127.0.0.1',
                                  '--port', str(port)], capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode != 0, 'it claims to listen on a port in use')
        check('in use' in outcome.stderr, f'it says {outcome.stderr!r}')


def watch_fd(programs, backend):
    """The page's third example."""
    outcome = subprocess.run([f'{programs}/watch_fd', '--backend', backend], capture_output=True, text=True, timeout=PATIENCE)
    check((outcome.returncode, outcome.stdout) == (0, 'Received: abc\n'), f'it says {outcome!r}')
    outcome = subprocess.run([f'{programs}/watch_fd', '--backend', 'none'], capture_output=True, text=True, timeout=PATIENCE)
    check(outcome.returncode == 2 and 'none' in outcome.stderr, f'it says {outcome!r}')


def nc(programs, backend):
    tool = shutil.which('nc')
    if not tool:
        return 'nc is not installed'
    usage = subprocess.run([tool, '-h'], capture_output=True, text=True)
    half_close = ['-N'] if 'OpenBSD' in usage.stdout + usage.stderr else ['-q', '5']
    data = random.Random(2).randbytes(300000)
    with server(programs, backend) as port:
        outcome = subprocess.run([tool, *half_close, '127.0.0.1', str(port)], input=data, capture_output=True,
                                 timeout=PATIENCE)
        check(outcome.stdout == data, f'{len(outcome.stdout)} bytes came back')
    return None


def socat_echo(target):
    """Three megabytes there and back; why it was left out, or None."""
    tool = shutil.which('socat')
    if not tool:
        return 'socat is not installed'
    data = random.Random(3).randbytes(3000000)
    outcome = subprocess.run([tool, '-t', str(PATIENCE), '-', target], input=data, capture_output=True, timeout=PATIENCE)
    check(outcome.stdout == data, f'{len(outcome.stdout)} bytes came back')
    return None


def socat(programs, backend):
    with server(programs, backend) as port:
        return socat_echo(f'TCP:127.0.0.1:{port}')


async def stream_client(where, number):
    """@where is a port, or the path of a Unix socket."""
    chance = random.Random(number)
    data = chance.randbytes(chance.randrange(1, 20000))
    if isinstance(where, str):
        reader, writer = await asyncio.open_unix_connection(where)
    else:
        reader, writer = await asyncio.open_connection('127.0.0.1', where)
    cut = chance.randrange(len(data) + 1)
    writer.write(data[:cut])
    await writer.drain()
    check(await reader.readexactly(cut) == data[:cut], f'client {number}: a wrong byte')
    writer.write(data[cut:])
    writer.write_eof()
    check(await reader.read() == data[cut:], f'client {number}: a wrong byte after the half-close')
    writer.close()
    await writer.wait_closed()


async def many_clients(where, count):
    await asyncio.gather(*(stream_client(where, number) for number in range(count)))


def asyncio_streams(programs, backend, *options):
    """A thousand at a time, every byte checked, each half-closed."""
    with server(programs, backend, *options) as port:
        asyncio.run(asyncio.wait_for(many_clients(port, CLIENTS), PATIENCE))


def asyncio_streams_two_loops(programs, backend):
    asyncio_streams(programs, backend, '--loops', '2')


async def python_echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def run_client(programs, backend, *where):
    process = await asyncio.create_subprocess_exec(
        f'{programs}/echo_client', '--backend', backend, *where, '--connections', '100', '--messages', '20')
    code = await asyncio.wait_for(process.wait(), PATIENCE)
    check(code == 0, f'echo_client ended with {code}')


def client_of_asyncio(programs, backend):
    """Our client, Python's server."""
    async def run():
        listener = await asyncio.start_server(python_echo, '127.0.0.1', 0)
        port = listener.sockets[0].getsockname()[1]
        await run_client(programs, backend, '--host', '127.0.0.1', '--port', str(port))
        listener.close()
    asyncio.run(run())


def unix_streams(programs, backend):
    """Python's clients, at most as many at a time as wait to be accepted: it takes the others for connected."""
    async def all_of_them(path):
        for _ in range(5):
            await many_clients(path, 200)
    with unix_server(programs, backend) as path:
        asyncio.run(asyncio.wait_for(all_of_them(path), PATIENCE))


def unix_client(programs, backend):
    async def run(path):
        listener = await asyncio.start_unix_server(python_echo, path)
        await run_client(programs, backend, '--unix', path)
        listener.close()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(f'{folder}/socket'))


def unix_abstract(programs, backend):
    name = f'@rondo-interop-{os.getpid()}'
    with running(backend, [f'{programs}/echo_server', '--backend', backend, '--unix', name]) as address:
        check(address == name, f'it listens on {address}')
        asyncio.run(run_client(programs, backend, '--unix', name))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect('\0' + name[1:])
            sock.sendall(b'hello')
            check(sock.recv(5, socket.MSG_WAITALL) == b'hello', 'no echo')


def unix_socat(programs, backend):
    with unix_server(programs, backend) as path:
        return socat_echo(f'UNIX-CONNECT:{path}')


def inherited(programs, backend):
    """Started as a service manager would: the socket listens already, and lies at descriptor 3."""
    with socket.create_server(('127.0.0.1', 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        sock.settimeout(PATIENCE)
        sock.sendall(b'early')  # before there is a server
        number = listener.fileno()
        command = f'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$0" --backend "$1" --inherited 3<&{number}'
        with running(backend, ['sh', '-c', command, f'{programs}/echo_server', backend],
                     pass_fds=(number,)) as address:
            check(address == '127.0.0.1:%d' % listener.getsockname()[1], f'it listens on {address}')
            check(sock.recv(5, socket.MSG_WAITALL) == b'early', 'no echo')
        several = 'LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" --backend "$1" --inherited 3<&{0} 4<&{0}'.format(number)
        outcome = subprocess.run(['sh', '-c', several, f'{programs}/echo_server', backend], pass_fds=(number,),
                                 capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode == 1 and 'several' in outcome.stderr, f'with two sockets it says {outcome.stderr!r}')
    outcome = subprocess.run([f'{programs}/echo_server', '--backend', backend, '--inherited'], capture_output=True,
                             text=True, timeout=PATIENCE)
    check(outcome.returncode != 0 and 'LISTEN_FDS' in outcome.stderr, f'without a socket it says {outcome.stderr!r}')


def client_refused(programs, backend):
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        outcome = subprocess.run([f'{programs}/echo_client', '--backend', backend, '--host', '127.0.0.1', '--port',
                                  str(bound.getsockname()[1]), '--connections', '2', '--messages', '1'],
                                 capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode != 0, 'echo_client is happy without a server')
        check('refused' in outcome.stderr, f'it says {outcome.stderr!r}')


class Guest:
    """Somebody in the chat, over a socket that is connected."""
    def __init__(self, sock, name):
        sock.settimeout(PATIENCE)
        self.sock, self.file = sock, sock.makefile('rw', newline='\n')
        self.expect('* welcome; your name?')
        self.say(name)

    def say(self, line):
        self.file.write(line + '\n')
        self.file.flush()

    def expect(self, line):
        got = self.file.readline()
        check(got == line + '\n', f'{got!r} instead of {line!r}')

    def close(self):
        self.file.close()
        self.sock.close()


def chat_guests(where, path):
    host, port = where.split(',')[0].rsplit(':', 1)
    ann = Guest(socket.create_connection((host, int(port))), 'ann')
    ann.expect('* hello ann; /who tells who is here, /quit ends')
    local = socket.socket(socket.AF_UNIX)
    local.connect(path)
    bob = Guest(local, 'ann')
    bob.expect('* ann is here already; another name?')
    bob.say('two words')
    bob.expect('* a name has 1 to 24 characters and no spaces; yours?')
    bob.say('bob')
    bob.expect('* hello bob; /who tells who is here, /quit ends')
    ann.expect('* bob is here')
    return ann, bob


def chat_flood(where, ann, bob):
    """Who says all at once a little more than is kept for anybody puts nobody out: it is said bit by bit."""
    host, port = where.split(',')[0].rsplit(':', 1)
    name, lines = 'd' * 24, 9400  # of 28 bytes; the little more fits into the smallest socket buffer
    flood = Guest(socket.create_connection((host, int(port))), name)
    flood.expect(f'* hello {name}; /who tells who is here, /quit ends')
    flood.sock.sendall(b'x\n' * lines)
    for guest in ann, bob:
        guest.expect(f'* {name} is here')
        for _ in range(lines):
            guest.expect(f'{name}: x')
    flood.sock.sendall(b'x\n' * lines)
    flood.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    flood.close()
    for guest in ann, bob:
        while (line := guest.file.readline()) == f'{name}: x\n':
            pass
        check(line == f'* {name} has left\n', f'{line!r} after the flood')


def chat_slow_reader(where, ann, bob):
    """Who does not read is put out, and nobody else is held up."""
    host, port = where.split(',')[0].rsplit(':', 1)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((host, int(port)))
    slow.sendall(b'carl\n')
    for guest in ann, bob:
        guest.expect('* carl is here')
    for number in range(100000):
        ann.say(f'{number} ' + 'x' * 900)
        line = bob.file.readline()
        if line == '* carl was too slow\n':
            line = bob.file.readline()
            break
        check(line.startswith(f'ann: {number} x'), f'bob reads {line!r}')
    else:
        raise Failed('carl is never too slow')
    ann.expect('* carl was too slow')
    slow.close()


def chat(programs, backend):
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/chat'
        command = [f'{programs}/chat_server', '--backend', backend, '--port', '0', '--unix', path]
        with running(backend, command) as where:
            check(os.stat(path).st_mode & 0o777 == 0o600, 'the file is for anybody')
            ann, bob = chat_guests(where, path)
            ann.say('hi\r')
            bob.expect('ann: hi')
            ann.say('\x1b[2Jhi\ragain\a\0')
            bob.expect('ann:  [2Jhi again  ')
            bob.say('/who')
            bob.expect('* bob (you)')
            bob.expect('* ann')
            bob.say('/dance')
            bob.expect('* there is no /dance')
            chat_flood(where, ann, bob)
            chat_slow_reader(where, ann, bob)
            long = Guest(socket.create_connection(ann.sock.getpeername()), 'y' * 5000)
            long.expect('* that was too long a line; goodbye')
            check(long.file.read() == '', 'more after goodbye')
            long.close()
            bob.say('/quit')
            check(bob.file.readline() == '', 'more after /quit')
            bob.close()
            ann.expect('* bob has left')
        ann.expect('* the chat is over')
        check(ann.file.read() == '', 'more after the end')
        ann.close()
        check(not os.path.exists(path), 'the file is still there')


# --- all of them ---------------------------------------------------------------------------------


PROGRAMS = ('chat_server', 'echo_client', 'echo_server', 'http_server', 'tcp_proxy', 'udp_echo', 'watch_fd')
NEEDED = {'echo_client': ['--host', '127.0.0.1', '--port', '1'], 'http_server': ['--root', '.'],
          'tcp_proxy': ['--listen', '127.0.0.1:0', '--to', '127.0.0.1:1']}


def run_with(programs, name, backend, **environment):
    return subprocess.run([f'{programs}/{name}', '--backend', backend, *NEEDED.get(name, [])],
                          capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment)


def unknown_backend(programs, backend):
    """A wrong command line is exit code 2, with the usage."""
    for name in PROGRAMS:
        if os.path.exists(f'{programs}/{name}'):
            done = run_with(programs, name, f'{backend}s')
            check(done.returncode == 2 and f'{backend}s' in done.stderr, f'{name}: {done.returncode}, {done.stderr!r}')


def backend_that_cannot_run(programs, _):
    """A backend that there is, but not here, is exit code 1, with the reason."""
    for name in PROGRAMS:
        if os.path.exists(f'{programs}/{name}'):
            done = run_with(programs, name, 'iocp')
            check(done.returncode == 1 and 'not built' in done.stderr, f'{name}: {done.returncode}, {done.stderr!r}')
            done = run_with(programs, name, 'io_uring', RONDO_IO_URING='0')
            check(done.returncode == 1 and re.search('RONDO_IO_URING|not built', done.stderr),
                  f'{name} without io_uring: {done.returncode}, {done.stderr!r}')


if __name__ == '__main__':
    sys.exit(main((plain_socket, late_reader, rude_clients, ends_with_clients, port_in_use, nc, socat, asyncio_streams,
                   asyncio_streams_two_loops, client_of_asyncio, client_refused, unix_streams, unix_client, unix_abstract,
                   unix_socat, inherited, chat, watch_fd, unknown_backend, backend_that_cannot_run)))
