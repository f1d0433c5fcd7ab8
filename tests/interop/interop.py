# SPDX-License-Identifier: MIT
"""The example programs against other people's: what streams.py, datagrams.py, proxies.py and web.py have in common.

usage: streams.py DIRECTORY_OF_PROGRAMS BACKEND

A case gets both. They end with 77 where the backend cannot run. A tool that is not installed is named and left out.
"""
import asyncio
import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile

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


def cannot_run(programs, backend):
    """Why the backend cannot run here, as net_trace finds it out; empty where it can."""
    scenarios = pathlib.Path(__file__).parent.parent / 'oracle' / 'net_scenarios.txt'
    outcome = subprocess.run([f'{programs}/net_trace', str(scenarios), backend, 'none of them'],
                             capture_output=True, text=True, timeout=PATIENCE)
    return outcome.stderr if outcome.returncode == 77 else ''


def main(cases):
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
