#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Connections that are cancelled while they are made, servers at their edges and files that are sent, on Python's asyncio:
one line for each scenario, with a bar behind each pass in which something happened. net_life.c does the same on Rondo.

usage: net_life.py [SCENARIO]

Everything is over Unix sockets and pipes, which deliver at once.
"""
import asyncio
import logging
import os
import socket
import sys
import tempfile

SCENARIOS = []
CANCELLED_AFTER = range(5)


def scenario(function):
    SCENARIOS.append((function.__name__, function))
    return function


class Protocol(asyncio.Protocol):
    def __init__(self, stage):
        self.stage = stage
        self.name = 'abcdefgh'[len(stage.conns)]
        self.ended = False
        stage.conns.append(self)
        stage.hook(self, 'factory')

    def connection_made(self, transport):
        self.transport = transport
        self.stage.hook(self, 'made')

    def data_received(self, data):
        self.stage.hook(self, 'data', f':{len(data)}')

    def eof_received(self):
        self.stage.hook(self, 'eof')

    def connection_lost(self, error):
        self.ended = True
        self.stage.hook(self, 'lost', f':{0 if error is None else type(error).__name__}')

    def pause_writing(self):
        self.stage.hook(self, 'stall')

    def resume_writing(self):
        self.stage.hook(self, 'flow')


class Stage:
    def __init__(self, folder):
        self.folder = folder
        self.path = f'{folder}/socket'
        self.loop = asyncio.SelectorEventLoop()
        self.loop.set_exception_handler(lambda loop, context: self.say('reported'))
        self.words, self.conns, self.peers, self.hooks, self.tasks = [], [], [], {}, []
        self.server = None

    def say(self, word):
        self.words.append(word)

    def hook(self, conn, name, text=''):
        self.say(f'{conn.name}.{name}{text}')
        if name in self.hooks:
            self.hooks[name](conn)

    def factory(self):
        return Protocol(self)

    def passes(self, count=1):
        for _ in range(count):
            before = len(self.words)
            self.loop.stop()
            self.loop.run_forever()
            if len(self.words) > before:
                self.say('|')

    def spawn(self, name, coroutine, show=lambda result: ''):
        """A task that waits for it and says how it ended."""
        async def wait():
            try:
                result = await coroutine
            except asyncio.CancelledError:
                self.say(f'{name}:cancelled')
            except Exception as error:
                kind = next(kind for kind in (OSError, ValueError, RuntimeError) if isinstance(error, kind))
                self.say(f'{name}:{kind.__name__}')
            else:
                self.say(f'{name}:done{show(result)}')
                return result
        self.tasks.append(self.loop.create_task(wait()))
        return self.tasks[-1]

    def soon(self, word, function=lambda: None):
        def called():
            self.say(word)
            function()
        self.loop.call_soon(called)

    # --- servers

    async def serve_(self, **options):
        self.server = await self.loop.create_unix_server(self.factory, self.path, **options)

    def serve(self, **options):
        self.loop.run_until_complete(self.serve_(**options))

    def connect(self, count=1):
        for _ in range(count):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(self.path)
            self.peers.append(peer)

    def state(self):
        self.say(f'serving={self.server.is_serving():d},sockets={len(self.server.sockets)}')

    # --- one connection

    def pair(self):
        near, far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        far.setblocking(False)
        self.peers.append(far)
        return near

    def open(self):
        self.loop.run_until_complete(self.loop.create_connection(self.factory, sock=self.pair()))
        return self.conns[0].transport

    def drain(self):
        total, quiet, end = 0, 0, ''
        while quiet < 4:
            before = len(self.words), total
            try:
                while data := self.peers[0].recv(65536):
                    total += len(data)
                end = ':eof'
            except BlockingIOError:
                pass
            except ConnectionResetError:
                end = ':reset'
            self.passes()
            quiet = quiet + 1 if before == (len(self.words), total) else 0
        self.say(f'drained:{total}{end}')

    def end(self):
        if self.server:
            self.server.close()
        for task in self.tasks:
            task.cancel()
        for conn in self.conns:
            if not conn.ended and hasattr(conn, 'transport'):
                getattr(conn.transport, 'abort', conn.transport.close)()
        self.passes(5)
        for peer in self.peers:
            peer.close()
        self.loop.close()


# --- cancelled while it is made ---------------------------------------------------------------------------------------


def cancelled(name, make):
    def play(count):
        def function(stage):
            task = stage.spawn(name, make(stage))
            stage.passes(count)
            stage.say('cancel')
            task.cancel()
            stage.passes(5)
        return function
    for count in CANCELLED_AFTER:
        SCENARIOS.append((f'{name}_cancelled_after_{count}', play(count)))


def make_connection(stage):
    near = stage.pair()
    stage.peers[0].send(b'hello')
    return stage.loop.create_connection(stage.factory, sock=near)


def make_accepted(stage):
    near = stage.pair()
    stage.peers[0].send(b'hello')
    return stage.loop.connect_accepted_socket(stage.factory, near)


def make_unix(stage):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(stage.path)
    listener.listen(5)
    stage.peers.append(listener)
    return stage.loop.create_unix_connection(stage.factory, stage.path)


def make_reader(stage):
    ours, other = os.pipe()
    os.set_blocking(ours, False)
    os.write(other, b'hello')
    stage.peers.append(open(other, 'wb', 0))
    return stage.loop.connect_read_pipe(stage.factory, open(ours, 'rb', 0))


def make_writer(stage):
    other, ours = os.pipe()
    os.set_blocking(ours, False)
    stage.peers.append(open(other, 'rb', 0))
    return stage.loop.connect_write_pipe(stage.factory, open(ours, 'wb', 0))


cancelled('connection', make_connection)
cancelled('accepted', make_accepted)
cancelled('unix', make_unix)
cancelled('reader', make_reader)
cancelled('writer', make_writer)
cancelled('server', lambda stage: stage.serve_())


@scenario
def failing_factory(stage):
    def factory():
        stage.say('factory')
        raise ValueError
    stage.spawn('connection', stage.loop.create_connection(factory, sock=stage.pair()))
    stage.passes(5)
    stage.drain()


@scenario
def closed_in_made(stage):
    stage.hooks['made'] = lambda conn: conn.transport.close()
    stage.spawn('connection', make_connection(stage))
    stage.passes(5)


@scenario
def aborted_in_made(stage):
    stage.hooks['made'] = lambda conn: (conn.transport.write(b'hello'), conn.transport.abort())
    stage.spawn('connection', stage.loop.create_connection(stage.factory, sock=stage.pair()))
    stage.passes(5)


# --- servers -----------------------------------------------------------------------------------------------------------


@scenario
def small_backlog(stage):
    stage.serve(backlog=2)
    stage.connect(3)
    stage.passes(5)


def closed_after(count):
    def function(stage):
        stage.serve()
        stage.connect()
        stage.passes(count)
        stage.say('close')
        stage.server.close()
        stage.passes(4)
    return function


for number in range(4):
    SCENARIOS.append((f'server_closed_after_{number}', closed_after(number)))


@scenario
def server_closed_in_factory(stage):
    stage.hooks['factory'] = lambda conn: stage.server.close()
    stage.serve()
    stage.connect(2)
    stage.passes(5)
    stage.state()


@scenario
def server_closed_in_lost(stage):
    stage.hooks['lost'] = lambda conn: (stage.spawn('inside', stage.server.wait_closed()), stage.server.close())
    stage.serve()
    stage.connect(2)
    stage.passes(4)
    stage.spawn('waited', stage.server.wait_closed())
    stage.passes(2)
    stage.peers[0].close()
    stage.passes(4)
    stage.peers[1].close()
    stage.passes(4)


@scenario
def server_failing_factory(stage):
    def fail(conn):
        raise ValueError
    stage.hooks['factory'] = fail
    stage.serve()
    stage.connect(2)
    stage.passes(5)
    stage.state()


@scenario
def server_aborts_in_made(stage):
    stage.hooks['made'] = lambda conn: conn.transport.abort()
    stage.serve()
    stage.connect(2)
    stage.spawn('waited', stage.server.wait_closed())
    stage.passes(5)
    stage.server.close()
    stage.passes(3)


@scenario
def server_closed_and_left_in_one_pass(stage):
    stage.serve()
    stage.connect(2)
    stage.passes(4)
    stage.spawn('first', stage.server.wait_closed())
    stage.spawn('second', stage.server.wait_closed())
    stage.passes(1)
    stage.soon('A', stage.conns[0].transport.abort)
    stage.soon('B', stage.server.close)
    stage.soon('C', stage.conns[1].transport.abort)
    stage.passes(5)


@scenario
def waiter_cancelled(stage):
    stage.serve()
    stage.connect()
    stage.passes(4)
    first = stage.spawn('first', stage.server.wait_closed())
    stage.spawn('second', stage.server.wait_closed())
    stage.passes(1)
    first.cancel()
    stage.passes(2)
    stage.server.close()
    stage.passes(2)
    stage.conns[0].transport.close()
    stage.passes(4)


@scenario
def serve_forever_twice(stage):
    stage.serve()
    first = stage.spawn('first', stage.server.serve_forever())
    stage.passes(2)
    stage.spawn('second', stage.server.serve_forever())
    stage.passes(2)
    stage.state()
    first.cancel()
    stage.passes(4)
    stage.spawn('third', stage.server.serve_forever())
    stage.passes(2)
    stage.state()


@scenario
def serve_forever_with_clients(stage):
    stage.serve(start_serving=False)
    task = stage.spawn('forever', stage.server.serve_forever())
    stage.spawn('waited', stage.server.wait_closed())
    stage.passes(3)
    stage.connect(2)
    stage.passes(4)
    task.cancel()
    stage.passes(4)
    stage.conns[0].transport.abort()
    stage.conns[1].transport.close()
    stage.passes(4)


@scenario
def serve_forever_closed_and_cancelled(stage):
    stage.serve()
    task = stage.spawn('forever', stage.server.serve_forever())
    stage.passes(2)
    stage.server.close()
    task.cancel()
    stage.passes(4)
    stage.state()


@scenario
def closed_in_data_while_others_come(stage):
    stage.hooks['data'] = lambda conn: stage.server.close()
    stage.serve()
    stage.connect()
    stage.passes(4)
    stage.peers[0].send(b'end')
    stage.connect(2)
    stage.passes(5)
    stage.state()


def both_ends(stage, on_data):
    """A client on the same loop; the server's end speaks first, and each answers until six chunks have come."""
    chunks = []

    def heard(conn):
        chunks.append(conn)
        if len(chunks) < 6:
            stage.soon(f'{conn.name}.soon')
            conn.transport.write(b'hello')
        else:
            on_data(conn)
    stage.hooks['made'] = lambda conn: conn.name == 'b' and conn.transport.write(b'hi')
    stage.hooks['data'] = heard
    stage.serve()
    stage.spawn('client', stage.loop.create_unix_connection(stage.factory, stage.path))
    stage.passes(20)
    stage.state()


@scenario
def both_ends_close(stage):
    both_ends(stage, lambda conn: conn.transport.close())


@scenario
def both_ends_abort_both(stage):
    both_ends(stage, lambda conn: [other.transport.abort() for other in stage.conns])


@scenario
def both_ends_eof(stage):
    both_ends(stage, lambda conn: conn.transport.write_eof())


@scenario
def both_ends_server_closed(stage):
    def close(conn):
        stage.spawn('waited', stage.server.wait_closed())
        stage.soon('close', stage.server.close)
        stage.soon('leave', conn.transport.close)
    both_ends(stage, close)


# --- files -------------------------------------------------------------------------------------------------------------


def a_file(stage, length):
    path = f'{stage.folder}/file'
    with open(path, 'wb') as file:
        file.write(bytes(length))
    return open(path, 'rb')


def send(stage, length, name='file', **options):
    file = a_file(stage, length)
    return stage.spawn(name, stage.loop.sendfile(stage.conns[0].transport, file, **options), lambda n: f':{n}')


@scenario
def file_small(stage):
    stage.open()
    send(stage, 100)
    stage.passes(5)
    stage.drain()


@scenario
def file_counted(stage):
    stage.open()
    send(stage, 100, count=50)
    stage.soon('A')
    stage.passes(5)
    stage.drain()


@scenario
def sock_file_counted(stage):
    near = stage.pair()
    near.setblocking(False)
    stage.spawn('file', stage.loop.sock_sendfile(near, a_file(stage, 100), count=50), lambda n: f':{n}')
    stage.soon('A')
    stage.passes(5)
    stage.drain()
    near.close()


@scenario
def file_empty(stage):
    stage.open()
    send(stage, 0)
    stage.passes(5)


@scenario
def file_behind_writes(stage):
    stage.open().write(bytes(300000))
    send(stage, 1000)
    stage.passes(3)
    stage.drain()


@scenario
def file_then_write(stage):
    transport = stage.open()
    task = send(stage, 100)
    task.add_done_callback(lambda _: (stage.say('write'), transport.write(b'hello')))
    stage.passes(6)
    stage.drain()


@scenario
def file_and_refused_write(stage):
    transport = stage.open()

    def write():
        try:
            transport.write(b'hello')
        except RuntimeError:
            stage.say('refused')
    send(stage, 1000000)
    stage.passes(1)
    stage.soon('A', write)
    stage.passes(2)
    stage.drain()
    stage.soon('B', write)
    stage.passes(2)
    stage.drain()


@scenario
def file_and_data(stage):
    stage.open()
    send(stage, 100).add_done_callback(lambda _: stage.soon('A'))
    stage.passes(1)
    stage.peers[0].send(b'hello')
    stage.passes(7)


@scenario
def file_and_paused_data(stage):
    transport = stage.open()
    transport.pause_reading()
    send(stage, 100)
    stage.peers[0].send(b'hello')
    stage.passes(6)
    stage.say('resume')
    transport.resume_reading()
    stage.passes(3)


@scenario
def file_and_resumed(stage):
    transport = stage.open()
    send(stage, 1000000)
    stage.passes(1)
    stage.peers[0].send(b'hello')
    transport.resume_reading()
    stage.say('resumed')
    stage.passes(3)
    stage.drain()


@scenario
def file_and_end(stage):
    stage.open()
    send(stage, 100)
    stage.peers[0].shutdown(socket.SHUT_WR)
    stage.passes(8)


@scenario
def file_and_peer_gone(stage):
    stage.open()
    send(stage, 1000000)
    stage.passes(2)
    stage.peers[0].close()
    stage.passes(8)


@scenario
def file_cancelled(stage):
    transport = stage.open()
    task = send(stage, 1000000)
    stage.passes(2)
    stage.peers[0].send(b'hello')
    task.cancel()
    stage.passes(4)
    transport.write(b'hello')
    stage.passes(2)


@scenario
def file_closing(stage):
    stage.open().close()
    send(stage, 100)
    stage.passes(3)


@scenario
def file_marks(stage):
    transport = stage.open()
    transport.set_write_buffer_limits(100000, 50000)
    transport.write(bytes(400000))
    send(stage, 1000)
    stage.passes(2)
    stage.drain()


@scenario
def file_then_close(stage):
    transport = stage.open()
    send(stage, 100).add_done_callback(lambda _: transport.close())
    stage.passes(6)
    stage.drain()


@scenario
def file_then_eof(stage):
    transport = stage.open()
    send(stage, 100).add_done_callback(lambda _: transport.write_eof())
    stage.passes(6)
    stage.drain()


@scenario
def files_in_a_row(stage):
    transport = stage.open()

    async def both():
        for length in 100, 200, 0, 300000:
            stage.say(f'sent:{await stage.loop.sendfile(transport, a_file(stage, length))}')
            transport.write(b'hello')
    stage.spawn('both', stage.loop.create_task(both()))
    stage.passes(3)
    stage.drain()


def main():
    logging.disable(logging.CRITICAL)
    for name, function in SCENARIOS:
        if len(sys.argv) > 1 and sys.argv[1] != name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(folder)
            function(stage)
            print(f'{name}: ' + ' '.join(stage.words))
            stage.end()


if __name__ == '__main__':
    main()
