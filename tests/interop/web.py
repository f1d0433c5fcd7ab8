#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""http_server against Python's http.client, plain sockets and wrk. As interop.py."""
import contextlib
import http.client
import os
import pathlib
import random
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from interop import PATIENCE, check, connect, main, receive_all, running
from proxies import proxy


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


def http_refusals(programs, backend):
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
                got = sock.recv(65536)
                check(got[9:12] == status, f'{request[:20]} gets {got[:40]}')


def http_expectations(programs, backend):
    """A client that wants to hear something before it sends a body."""
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


def http_pipelining(programs, backend):
    """Many requests at once, large and small files by turns, all answers in order, also to who has nothing more to ask; and
    leaving in the middle."""
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


def http_interrupted(programs, backend):
    """Ctrl+C while a file is on its way to who does not read."""
    with contextlib.ExitStack() as clients:
        with site(programs, backend, signal.SIGINT, 0) as (port, _):
            for _ in range(4):
                sock = clients.enter_context(connect(port))
                sock.settimeout(PATIENCE)
                sock.sendall(b'GET /large.bin HTTP/1.1\r\n\r\n' * 8)
                sock.recv(1)


def http_without_descriptors(programs, backend):
    """What cannot be opened now is not said to be missing."""

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


def wrk_through_proxy(programs, backend):
    tool = shutil.which('wrk')
    if not tool:
        return 'wrk is not installed'
    with site(programs, backend) as (port, _), proxy(programs, backend, port) as through:
        outcome = subprocess.run([tool, '-c', '50', '-t', '1', '-d', '1', f'http://127.0.0.1:{through}/'],
                                 capture_output=True, text=True, timeout=PATIENCE)
        check(outcome.returncode == 0 and 'Socket errors' not in outcome.stdout and 'Non-2xx' not in outcome.stdout,
              outcome.stdout + outcome.stderr)
    return None


def http_last_answer(programs, backend):
    """Whatever the client sends meanwhile, it gets the whole of its last answer, and then the end."""
    with site(programs, backend) as (port, root):
        last = b'GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
        with connect(port) as sock:
            sock.sendall(last + b'x' * 100000)
            check(receive_all(sock).endswith((root / 'large.bin').read_bytes()), 'the file is not whole')
        chunk = b'%x\r\n%s\r\n' % (1 << 20, b'x' * (1 << 20))
        for head, body in ((b'Content-Length: 4194304', b'x' * (4 << 20)), (b'Transfer-Encoding: chunked', chunk * 4)):
            with connect(port) as sock:
                sock.sendall(b'POST / HTTP/1.1\r\nHost: x\r\n' + head + b'\r\n\r\n' + body)
                check(receive_all(sock)[9:12] == b'413', 'the refusal is lost')


def http_lingering(programs, backend):
    """Behind its last answer a client can go on sending for a while, not for ever."""
    with site(programs, backend, options=('--idle', '0')) as (port, _), connect(port) as sock:
        sock.sendall(b'nonsense\r\n\r\n')
        check(receive_all(sock)[9:12] == b'400', 'it does not end')
        poll = select.poll()
        poll.register(sock, 0)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(PATIENCE * 10):
                sock.sendall(b'and more')
                if poll.poll(100):
                    break
            else:
                check(False, 'it listens for ever')


if __name__ == '__main__':
    if not os.path.exists(f'{sys.argv[1]}/http_server'):
        print('http_server is not built: libhttp-parser-dev')
        sys.exit(77)
    sys.exit(main((http_files, http_refusals, http_pipelining, http_expectations, http_last_answer, http_lingering, http_idle,
                   http_interrupted, http_without_descriptors, wrk_through_proxy)))
