#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The example programs against other people's: nc, socat, Python's asyncio streams and plain sockets.

usage: interop.py DIRECTORY_OF_PROGRAMS BACKEND

Ends with 77 where the backend cannot run. A tool that is not installed is named and left out.
"""
import asyncio
import contextlib
import http.client
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 1000
PATIENCE = 60


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


@contextlib.contextmanager
def running(backend, command, end=signal.SIGTERM, ending=0, **popen):
    """A server that was started by @command; yields what it listens on. It must end with @ending when @end tells it to."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **popen)
    try:
        line = process.stdout.readline()
        match = re.fullmatch(r'listening on (\S+) backend=(\w+)\n', line)
        check(match, f'the server says {line!r}')
        check(match[2] == backend, f'it runs on {match[2]}')
        yield match[1]
        process.send_signal(end)
        check(process.wait(PATIENCE) == ending, f'the server ended with {process.returncode}')
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()


@contextlib.contextmanager
def server(programs, backend, *options):
    """An echo_server on a free port, which it yields."""
    command = [f'{programs}/echo_server', '--backend', backend, '--host', '127.0.0.1', '--port', '0', *options]
    with running(backend, command) as address:
        host, port = address.rsplit(':', 1)
        check(host == '127.0.0.1', f'it listens on {host}')
        yield int(port)


@contextlib.contextmanager
def unix_server(programs, backend):
    """An echo_server on a Unix socket, whose path it yields, and whose file it must remove."""
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/socket'
        with running(backend, [f'{programs}/echo_server', '--backend', backend, '--unix', path]) as address:
            check(address == path, f'it listens on {address}')
            yield path
        check(not os.path.exists(path), 'the file is still there')


def connect(port):
    return socket.create_connection(('127.0.0.1', port), PATIENCE)


def receive_all(sock):
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b''.join(pieces)


# --- cases: each gets the programs' directory and the backend ------------------------------------


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


def socat(programs, backend):
    tool = shutil.which('socat')
    if not tool:
        return 'socat is not installed'
    data = random.Random(3).randbytes(3000000)
    with server(programs, backend) as port:
        outcome = subprocess.run([tool, '-t', str(PATIENCE), '-', f'TCP:127.0.0.1:{port}'], input=data,
                                 capture_output=True, timeout=PATIENCE)
        check(outcome.stdout == data, f'{len(outcome.stdout)} bytes came back')
    return None


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
    tool = shutil.which('socat')
    if not tool:
        return 'socat is not installed'
    data = random.Random(4).randbytes(3000000)
    with unix_server(programs, backend) as path:
        outcome = subprocess.run([tool, '-t', str(PATIENCE), '-', f'UNIX-CONNECT:{path}'], input=data,
                                 capture_output=True, timeout=PATIENCE)
        check(outcome.stdout == data, f'{len(outcome.stdout)} bytes came back')
    return None


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


# --- tcp_proxy and http_server: SIGTERM just ends them, Ctrl+C is what they wait for ------------


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


@contextlib.contextmanager
def site(programs, backend, end=signal.SIGTERM, ending=-signal.SIGTERM, options=(), **popen):
    """A folder that is served: yields the port and the folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, 'root')
        (root / 'sub').mkdir(parents=True)
        (root / 'index.html').write_text('<h1>Hello</h1>')
        (root / 'sub' / 'index.html').write_text('inner')
        (root / 'a b.txt').write_text('spaced')
        (root / 'empty').write_bytes(b'')
        (root / 'medium.bin').write_bytes(random.Random(6).randbytes(20000))
        (root / 'large.bin').write_bytes(random.Random(5).randbytes(3 << 20))
        pathlib.Path(folder, 'secret').write_text('secret')
        (root / 'out').symlink_to('../secret')
        (root / 'away').symlink_to('..')
        command = [f'{programs}/http_server', '--backend', backend, '--root', str(root), '--port', '0', *options]
        with running(backend, command, end, ending, **popen) as address:
            yield int(address.rsplit(':', 1)[1]), root


def ask(port, method, path, body=None):
    """http.client sends the path as it is."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE)
    connection.request(method, path, body)
    response = connection.getresponse()
    outcome = response.status, response.headers, response.read()
    connection.close()
    return outcome


def http_files(programs, backend):
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with site(programs, backend) as (port, root), proxy(programs, backend, port) as through:
        for where in port, through:
            for path, name, kind in (('/', 'index.html', 'text/html; charset=utf-8'),
                                     ('/index.html?x=1', 'index.html', 'text/html; charset=utf-8'),
                                     ('/sub/', 'sub/index.html', 'text/html; charset=utf-8'),
                                     ('//sub//index.html', 'sub/index.html', 'text/html; charset=utf-8'),
                                     ('/a%20b.txt', 'a b.txt', 'text/plain; charset=utf-8'),
                                     ('/empty', 'empty', 'application/octet-stream'),
                                     ('/large.bin', 'large.bin', 'application/octet-stream')):
                expected = (root / name).read_bytes()
                status, headers, body = ask(where, 'GET', path)
                check(status == 200 and body == expected, f'{path}: {status}, {len(body)} bytes')
                check(headers['Content-Type'] == kind, f"{path}: {headers['Content-Type']}")
                status, headers, body = ask(where, 'HEAD', path)
                check(status == 200 and body == b'', f'HEAD {path}: {status}')
                check(int(headers['Content-Length']) == len(expected), f'HEAD {path}')
    return None


def http_refusals(programs, backend):
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with site(programs, backend) as (port, _):
        for path in ('/none', '/../secret', '/sub/../../secret', '/%2e%2e/secret', '/%2E%2e%2fsecret', '/out', '/away/secret',
                     '/sub/%2e%2e/index.html', '/index.html/'):
            check(ask(port, 'GET', path)[0] == 404, f'{path} is served')
        for path in ('/%zz', '/%', '/%00', '/index.html%00.txt'):
            check(ask(port, 'GET', path)[0] == 400, f'{path} is no error')
        status, headers, _ = ask(port, 'GET', '/sub?x')
        check(status == 301 and headers['Location'] == '/sub/', f'/sub: {status}')
        status, headers, _ = ask(port, 'DELETE', '/')
        check(status == 405 and headers['Allow'] == 'GET, HEAD', f'DELETE: {status}')
        check(ask(port, 'POST', '/', b'x' * 100)[0] == 405, 'POST')
        check(ask(port, 'GET', '/' + 'x' * 5000)[0] == 414, 'a long path')
        for request, status in ((b'nonsense\r\n\r\n', b'400'),
                                (b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n', b'413'),
                                (b'GET / HTTP/1.1\r\n\r\n', b'400'),
                                (b'GET / HTTP/1.1\r\nhost: a\r\nHOST: b\r\n\r\n', b'400'),
                                (b'GET / HTTP/1.1\r\nHosts: a\r\n\r\n', b'400'),
                                (b'GET / HTTP/1.0\r\n\r\n', b'200'),
                                (b'GET / HTTP/1.1\r\nX: ' + b'x' * 40000 + b'\r\n\r\n', b'431')):
            with connect(port) as sock:
                sock.settimeout(PATIENCE)
                sock.sendall(request)
                try:
                    got = sock.recv(65536)
                except ConnectionResetError:  # it did not wait for all of it
                    continue
                check(got[9:12] == status, f'{request[:20]} gets {got[:40]}')


def http_expectations(programs, backend):
    """A client that wants to hear something before it sends a body."""
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with site(programs, backend) as (port, _), connect(port) as sock:
        for _ in range(2):
            sock.sendall(b'POST / HTTP/1.1\r\nHo')
            sock.sendall(b'st: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
            go_ahead = b'HTTP/1.1 100 Continue\r\n\r\n'
            got = sock.recv(len(go_ahead), socket.MSG_WAITALL)
            check(got == go_ahead, f'it says {got!r}')
            sock.sendall(b'12345')
            response = http.client.HTTPResponse(sock)
            response.begin()
            check(response.status == 405 and response.read().startswith(b'405'), f'{response.status}')


def http_idle(programs, backend):
    """--idle lets go of those that send no whole request and of those that take nothing, and of nobody else."""
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with site(programs, backend, options=('--idle', '1')) as (port, root), contextlib.ExitStack() as clients:
        greedy = clients.enter_context(connect(port))
        greedy.sendall(b'GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n' * 8)
        for words in b'', b'GET / HTTP/1.1\r\nHost: x\r\n', b'GET':  # one after the other: three seconds and more
            impatient = clients.enter_context(connect(port))
            impatient.sendall(words)
            with contextlib.suppress(ConnectionResetError):
                check(impatient.recv(1) == b'', 'an answer to nothing')
        with contextlib.suppress(ConnectionResetError):
            check(len(receive_all(greedy)) < 8 * (root / 'large.bin').stat().st_size, 'it waited for ever')
        check(ask(port, 'GET', '/large.bin')[2] == (root / 'large.bin').read_bytes(), 'the others')


def unknown_backend(programs, backend):
    """A wrong command line is exit code 2, with the usage."""
    for name in ('chat_server', 'echo_client', 'echo_server', 'http_server', 'tcp_proxy', 'udp_echo', 'watch_fd'):
        if os.path.exists(f'{programs}/{name}'):
            done = subprocess.run([f'{programs}/{name}', '--backend', f'{backend}s'], capture_output=True, text=True, timeout=PATIENCE)
            check(done.returncode == 2 and f'{backend}s' in done.stderr, f'{name}: {done.returncode}, {done.stderr!r}')


def http_pipelining(programs, backend):
    """Many requests at once, large and small files by turns, all answers in order, also to who has nothing more to ask; and
    leaving in the middle."""
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with site(programs, backend) as (port, root):
        paths = ['/large.bin', '/', '/none', '/medium.bin', '/sub/'] * 5
        requests = b''.join(b'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % path.encode() for path in paths)
        for is_over in False, True:
            with connect(port) as sock, sock.makefile('rb') as file:
                sock.settimeout(PATIENCE)
                sock.sendall(requests)
                if is_over:
                    sock.shutdown(socket.SHUT_WR)
                for path in paths:
                    status = file.readline()
                    check(status, f'{path}: no answer')
                    headers = http.client.parse_headers(file)
                    body = file.read(int(headers['Content-Length']))
                    check(status.split()[1] == (b'404' if path == '/none' else b'200'), f'{path}: {status}')
                    if path.endswith('.bin'):
                        check(body == (root / path[1:]).read_bytes(), f'{path} is not what it was')
                check(not is_over or file.read() == b'', 'more than was asked for')
        for _ in range(20):
            with connect(port) as sock:
                sock.sendall(requests)
                sock.recv(1000)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        check(ask(port, 'GET', '/')[0] == 200, 'it does not go on')
    return None


def http_interrupted(programs, backend):
    """Ctrl+C while a file is on its way to who does not read."""
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'
    with contextlib.ExitStack() as clients:
        with site(programs, backend, signal.SIGINT, 0) as (port, _):
            for _ in range(4):
                sock = clients.enter_context(connect(port))
                sock.settimeout(PATIENCE)
                sock.sendall(b'GET /large.bin HTTP/1.1\r\n\r\n' * 8)
                sock.recv(1)
    return None


def http_without_descriptors(programs, backend):
    """What cannot be opened now is not said to be missing."""
    if not os.path.exists(f'{programs}/http_server'):
        return 'http_server is not built: libhttp-parser-dev'

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    with site(programs, backend, preexec_fn=limit, stderr=subprocess.DEVNULL) as (port, _):
        clients = [http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE)]
        while True:
            clients[0].request('GET', '/')
            response = clients[0].getresponse()
            response.read()
            if response.status != 200:
                break
            check(len(clients) < 16, 'there is no limit')
            clients.append(http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE))
            clients[-1].connect()
        check(response.status == 503, f'it says {response.status}')
        for client in clients:
            client.close()
        check(ask(port, 'GET', '/')[0] == 200, 'it does not go on')
    return None


def wrk_through_proxy(programs, backend):
    tool = shutil.which('wrk')
    if not tool or not os.path.exists(f'{programs}/http_server'):
        return 'wrk is not installed, or http_server not built'
    with site(programs, backend) as (port, _), proxy(programs, backend, port) as through:
        outcome = subprocess.run([tool, '-c', '50', '-t', '1', '-d', '1', f'http://127.0.0.1:{through}/'],
                                 capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode == 0 and 'Socket errors' not in outcome.stdout and 'Non-2xx' not in outcome.stdout,
              outcome.stdout + outcome.stderr)
    return None


CASES = (plain_socket, late_reader, rude_clients, ends_with_clients, port_in_use, nc, socat, asyncio_streams,
         asyncio_streams_two_loops, client_of_asyncio, client_refused, unix_streams, unix_client, unix_abstract,
         unix_socat, inherited, chat, proxy_streams, proxy_without_target, proxy_holds_back, proxy_left_alone, proxy_impatient_client,
         proxy_early_words, proxy_interrupted, http_files, http_refusals, http_pipelining, http_expectations, http_idle,
         http_interrupted, http_without_descriptors, wrk_through_proxy, unknown_backend)


CASES += (watch_fd,)


def cannot_run(programs, backend):
    """Why the backend cannot run here, as net_trace finds it out; empty where it can."""
    scenarios = pathlib.Path(__file__).parent.parent / 'oracle' / 'net_scenarios.txt'
    outcome = subprocess.run([f'{programs}/net_trace', str(scenarios), backend, 'none of them'],
                             capture_output=True, text=True, timeout=PATIENCE)
    return outcome.stderr if outcome.returncode == 77 else ''


def main(cases=CASES):
    programs, backend = sys.argv[1:]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CLIENTS + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    reason = cannot_run(programs, backend)
    if reason:
        print(reason)
        return 77
    failures = 0
    for case in cases:
        try:
            skipped = case(programs, backend)
            print(f'{case.__name__}: ' + (f'left out: {skipped}' if skipped else 'ok'))
        except (Failed, OSError, subprocess.TimeoutExpired, asyncio.TimeoutError) as error:
            failures += 1
            print(f'{case.__name__}: FAILED: {error!r}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
