#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rondo-bench as its users run it. No figure is judged by its size, only by being there.

usage: bench.py PATH_OF_RONDO_BENCH CASE

The cases are the functions below between the two lines.
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PATIENCE = 120


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def errors_in(output):
    """What the series of a JSON say went wrong."""
    return re.findall(r'"name": "[^"]*", "error": "[^"]*"', output)


def run(program, *arguments, code=0):
    """Run it to its end; its output and its errors."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE * 4,
                          stdin=subprocess.DEVNULL)
    check(done.returncode == code,
          f'{arguments}: exit code {done.returncode}, expected {code}: {done.stderr}{errors_in(done.stdout)}')
    return done.stdout, done.stderr


def children_of(pid):
    """The processes that it has started."""
    children = []
    with contextlib.suppress(FileNotFoundError):  # it has ended
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                children += (task / 'children').read_text().split()
    return [int(child) for child in children]


@contextlib.contextmanager
def started(program, *arguments, **options):
    process = subprocess.Popen([program, *arguments], text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def served(program, *arguments):
    """A server for others; yields its port and the process."""
    with started(program, '--serve', *arguments, stdout=subprocess.PIPE) as process:
        match = re.fullmatch(r'listening on 127\.0\.0\.1:(\d+) server=\S+\n', process.stdout.readline())
        check(match, 'it does not say where it listens')
        yield int(match[1]), process
        process.stdout.close()


def server_names(program):
    """All that are built in, those that cannot run here included."""
    lines = run(program, '--list')[0].split('\n\n')[0].splitlines()[1:]
    return [line.split()[0] for line in lines]


def check_json(text, figures):
    """Every series of every case has a sample of each of @figures, and every server one above zero: one that gets no
    processor for the moment of a measurement has used none. Returns the cases."""
    cases = json.loads(text)['cases']
    check(cases, 'no case')
    above_zero = {}
    for case in cases:
        check(case['series'], f'{case["title"]}: no series')
        for series in case['series']:
            where = f'{case["kind"]}, {case["title"]}, {series["name"]}'
            check(series['error'] is None, f'{where}: {series["error"]}')
            for figure in figures:
                rounds = series.get(figure, {}).get('rounds', [])
                check(len(rounds) == case['rounds'], f'{where}: {figure} of {len(rounds)} rounds')
                check(all(value >= 0 for value in rounds), f'{where}: {figure} is {rounds}')
                which = series['name'], figure
                above_zero[which] = above_zero.get(which, False) or any(value > 0 for value in rounds)
    for which, is_there in above_zero.items():
        check(is_there, f'{which}: always 0')
    return cases


PYTHON = ('uvloop', 'asyncio')  # echo, and on one loop, is all that they do
SHORT = ('--rounds', '1', '--seconds', '0.02', '--json', '-')

# --- cases ------------------------------------------------------------------------------------------------------


def every_server(program):
    """Each kind of load on each server that can run here."""
    loaded = ('requests_per_second', 'cpu_us_per_request', 'latency_p50_us', 'latency_p99_us')
    output, _ = run(program, '--peers', '--only', 'echo,churn', '--connections', '1,4', '--sizes', '64,16k',
                    '--pipeline', '3', *SHORT)
    names = {series['name'] for case in check_json(output, loaded) for series in case['series']}
    check({'rondo-epoll', 'bare-epoll'} <= names, f'only {names}')
    output, _ = run(program, '--peers', '--only', 'bulk', '--connections', '2', *SHORT)
    check_json(output, loaded)


def other_kinds(program):
    """Unix sockets, datagrams, pipes, proxying."""
    figures = ('requests_per_second', 'cpu_us_per_request', 'latency_p50_us', 'latency_p99_us')
    output, _ = run(program, '--peers', '--only', 'unix,udp,pipe,proxy', '--connections', '1,5', '--sizes', '64,1400',
                    '--pipeline', '7', *SHORT)
    kinds = {case['kind'] for case in check_json(output, figures)}
    check(kinds == {'unix', 'udp', 'pipe', 'proxy'}, f'only {kinds}')
    output, _ = run(program, '--peers', '--only', 'unix,pipe,proxy', '--connections', '2', '--sizes', '100k',
                    '--pipeline', '16', *SHORT)  # more than any of them takes at once
    check_json(output, figures)


def memory(program):
    """So many that what the tables and pools of a server give back and take again does not hide them."""
    output, _ = run(program, '--only', 'idle', '--connections', '8000', *SHORT)
    check_json(output, ('bytes_per_connection',))


def several_loops(program):
    output, _ = run(program, '--loops', '2', '--peers', '--work', '5', '--connections', '8', *SHORT)
    cases = check_json(output, ('requests_per_second', 'cpu_us_per_request', 'load_cpu_us_per_request'))
    check([case['kind'] for case in cases] == ['loops'], 'not the loops alone')
    for series in cases[0]['series']:
        check(series['rate_to_one_loop'] > 0, f'{series["name"]}: no growth')


def micro(program):
    output, _ = run(program, '--only', 'micro', '--rounds', '1', '--json', '-')
    check_json(output, ('ns_per_operation',))


def outputs(program):
    """A table on stdout, progress on stderr, JSON and a chart in files, and options of the loops in them."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = run(program, '--only', 'echo', '--connections', '2', '--sizes', '64', '--pipeline', '1',
                             '--rounds', '2', '--seconds', '0.02', '--spin', '1000', '--receive-buffer', '4k',
                             '--receive-buffers', '8', '--ring-entries', '64',
                             '--json', f'{folder}/a.json', '--svg', f'{folder}/a.svg')
        tuning = json.loads(pathlib.Path(f'{folder}/a.json').read_text())['tuning']
        check(tuning == {'spin_ns': 1000, 'receive_buffer_size': 4096, 'receive_buffers': 8, 'ring_entries': 64},
              f'the options are {tuning}')
        chart = xml.etree.ElementTree.parse(f'{folder}/a.svg').getroot()
    style = chart.find('{http://www.w3.org/2000/svg}style').text
    check('color-scheme: light dark' in style, 'dark colours on whatever background there is')
    texts = [element.text for element in chart.iter('{http://www.w3.org/2000/svg}text')]
    check('rondo-epoll' in texts, 'the chart does not name the server')
    check('TCP echo' in output and 'rondo-epoll' in output and 'spin_ns = 1000' in output, f'the table: {output}')
    check('2 connections, 64 B, 1 in flight' in errors, f'no progress: {errors}')


def protocols(program):
    """Each protocol on each server that has it, with requests cut anywhere."""
    http = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n'
    expected = {'echo': (b'0123456789' * 30000, b'0123456789' * 30000),
                'http': (b'GET / HTTP/1.1\r\nHost: x\r\n\r\n' * 3000, http * 3000),
                'ping': (b'PING\r\n' * 30000, b'+PONG\r\n' * 30000)}
    tested = set()
    for name in server_names(program):
        for protocol, (request, answer) in expected.items():
            loops = '1' if name in PYTHON else '2'
            done = subprocess.run([program, '--serve', name, '--protocol', protocol, '--loops', loops, '--inherit', '9'],
                                  capture_output=True, text=True, timeout=PATIENCE)
            if done.returncode != 1 or 'no socket' not in done.stderr:
                continue  # it cannot run here, or has no other protocol
            with served(program, name, '--protocol', protocol, '--loops', loops) as (port, _):
                check(talk(port, request) == answer, f'{name}, {protocol}: a wrong answer')
            tested.add((name, protocol))
    for name in ('rondo-epoll', 'bare-epoll'):
        check({(name, protocol) for protocol in expected} <= tested, f'{name} was not tested')
    check(('asyncio', 'echo') in tested, 'asyncio was not tested')


def talk(port, request):
    """Send in three pieces while receiving; all that comes back until the end of the stream."""
    with socket.create_connection(('127.0.0.1', port), PATIENCE) as sock:
        sock.setblocking(False)
        cuts = [0, 7, len(request) // 2 + 1, len(request)]
        received, piece, sent = [], 1, 0
        while True:
            readable, writable, _ = select.select([sock], [sock] if piece < 4 else [], [], PATIENCE)
            check(readable or writable, 'no answer')
            if writable:
                sent += sock.send(request[sent:cuts[piece]])
                piece += sent == cuts[piece]
                if piece == 4:
                    sock.shutdown(socket.SHUT_WR)
            if readable:
                data = sock.recv(65536)
                if not data:
                    return b''.join(received)
                received.append(data)


def refusals(program):
    """Command lines that make no sense: one line that names the argument, and exit code 2."""
    bad = [('--nonsense',), ('echo',), ('--rounds',), ('--rounds', '0'), ('--rounds', '100'), ('--rounds', 'two'),
           ('--rounds', '1,2'), ('--rounds', '-1'), ('--seconds', '0'), ('--seconds', 'nan'), ('--only', 'echo,idel'),
           ('--only', ''), ('--servers', 'rondo-epoll,nobody'), ('--servers', ''), ('--connections', '0'),
           ('--connections', '1,'), ('--connections', '1;2'), ('--sizes', '1m'), ('--pipeline', '1025'),
           ('--loops', '0'), ('--loops', '257'), ('--port', '65536'), ('--protocol', 'gopher'),
           ('--protocol', 'http'), ('--serve', 'nobody'), ('--spin', '-1'),
           ('--receive-buffer', '0'), ('--json', ''), ('--work', 'much')]
    if 'libuv-write' in server_names(program):
        bad.append(('--serve', 'libuv-write', '--protocol', 'http'))
    for arguments in bad:
        output, errors = run(program, *arguments, code=2)
        check(output == '', f'{arguments}: it says {output!r}')
        check(errors.startswith('rondo-bench: ') and errors.count('\n') == 1, f'{arguments}: it says {errors!r}')
        check(arguments[-1] in errors or arguments[0] in errors, f'{arguments}: not named in {errors!r}')
    for arguments in (('--help',), ('-h',), ('--list',), ('--probe',)):
        output, errors = run(program, *arguments)
        check(output and not errors, f'{arguments}: {errors!r}')


def unwritable(program):
    """It is said before anything is measured, where that can be known."""
    short = ('--only', 'echo', '--connections', '1', '--sizes', '1', '--pipeline', '1', '--rounds', '1', '--seconds', '0.01')
    for option in ('--json', '--svg'):
        output, errors = run(program, *short, option, '/nowhere/at/all', code=1)
        check('/nowhere/at/all' in errors, f'it says {errors!r}')
        check(output == '' and 'echo' not in errors, f'{option}: it measures all the same')
    with open('/dev/full', 'w', encoding='ascii') as full:
        for arguments in short, (*short, '--json', '-'), ('--list',), ('--probe',), ('--help',):
            done = subprocess.run([program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
            check(done.returncode == 1, f'{arguments}: exit code {done.returncode}')
            check('standard output' in done.stderr, f'{arguments}: it says {done.stderr!r}')


def port_in_use(program):
    with socket.create_server(('127.0.0.1', 0)) as sock:
        port = sock.getsockname()[1]
        output, errors = run(program, '--serve', 'rondo-epoll', '--port', str(port), code=1)
        check(output == '' and f'127.0.0.1:{port}' in errors, f'it says {errors!r}')


def server_that_dies(program):
    """Its series fails and says how, the others are measured, and the exit code tells."""
    with started(program, '--only', 'echo', '--servers', 'rondo-epoll,bare-epoll', '--connections', '3', '--sizes',
                 '64', '--pipeline', '1', '--rounds', '2', '--seconds', '1', '--json', '-',
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.kill(first_child(process), signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE)
        check(process.returncode == 1, f'exit code {process.returncode}')
    killed, other = json.loads(output)['cases'][0]['series']
    check('signal 9' in killed['error'], f'it says {killed["error"]!r}')
    check(other['error'] is None and len(other['requests_per_second']['rounds']) == 2, f'the other: {other}')


def first_child(process):
    """Wait until it has a child that is a server: one that has become another program image."""
    while True:
        check(process.poll() is None, 'it has ended')
        for child in children_of(process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b'--serve' in pathlib.Path(f'/proc/{child}/cmdline').read_bytes():
                    return child


def interrupted(program):
    """Ctrl+C on a terminal: the bar is wiped off, no child stays, and it ends by the signal."""
    main, terminal = pty.openpty()
    with started(program, '--only', 'echo', '--servers', 'rondo-epoll', '--connections', '2', '--seconds', '60',
                 stdout=subprocess.DEVNULL, stderr=terminal, stdin=subprocess.DEVNULL) as process:
        os.close(terminal)
        child = first_child(process)
        watched = os.pidfd_open(child)
        process.send_signal(signal.SIGINT)
        check(process.wait(PATIENCE) == -signal.SIGINT, f'it ended with {process.returncode}')
        check(select.select([watched], [], [], PATIENCE)[0], 'its server lives on')
        os.close(watched)
    shown = b''
    with contextlib.suppress(OSError):  # the end of a terminal
        while data := os.read(main, 4096):
            shown += data
    os.close(main)
    check(b'echo, 2 connections' in shown, f'no bar: {shown!r}')
    check(shown.endswith(b'\r\x1b[K'), f'the bar is still there: {shown[-80:]!r}')


# ----------------------------------------------------------------------------------------------------------------


def main():
    program, name = sys.argv[1:]
    try:
        globals()[name](program)
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f'{name}: {error}')


if __name__ == '__main__':
    main()
