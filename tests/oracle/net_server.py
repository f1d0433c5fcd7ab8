#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The life of a server on Python's asyncio, one line for each scenario. net_server.c does the same on Rondo,
function by function; the lines are those of net_server_tcp.txt and net_server_unix.txt on both.

usage: net_server.py tcp|unix [SCENARIO]

Clients are plain sockets in the same thread: the kernel completes a connect while the loop stands still.
"""
import asyncio
import logging
import socket
import sys
import tempfile

SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


class Conn(asyncio.Protocol):
    def __init__(self, stage):
        self.stage = stage
        self.name = 'abcdefgh'[len(stage.conns)]
        stage.conns.append(self)
        self.ended = False
        stage.log(f'{self.name}.factory')

    def connection_made(self, transport):
        self.transport = transport
        self.stage.log(f'{self.name}.made')
        self.stage.made += 1
        self.stage.hook('made', self)

    def data_received(self, data):
        self.stage.log(f'{self.name}.data:{len(data)}')
        self.stage.hook('data', self)

    def eof_received(self):
        self.stage.log(f'{self.name}.eof')

    def connection_lost(self, error):
        self.stage.log(f'{self.name}.lost:{0 if error is None else type(error).__name__}')
        self.ended = True
        self.stage.hook('lost', self)


class Stage:
    def __init__(self, path):
        self.path = path  # of a Unix socket; None: TCP
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.log('reported'))
        self.words, self.conns, self.peers, self.hooks = [], [], [], {}
        self.made = 0

    def log(self, word):
        self.words.append(word)

    def hook(self, name, conn):
        if name in self.hooks:
            self.hooks[name](conn)

    async def create(self, **options):
        if self.path:
            return await self.loop.create_unix_server(lambda: Conn(self), self.path, **options)
        return await self.loop.create_server(lambda: Conn(self), '127.0.0.1', 0, **options)

    def serve(self, **options):
        self.use(self.loop.run_until_complete(self.create(**options)))

    def use(self, server):
        self.server = server
        self.address = server.sockets[0].getsockname()

    def open(self):
        peer = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        peer.settimeout(10)
        try:
            peer.connect(self.address)
        except OSError:
            peer.close()
            raise
        return peer

    def connect(self):
        peer = self.open()
        self.peers.append(peer)
        return peer

    def try_connect(self):
        try:
            self.open().close()
        except ConnectionRefusedError:
            self.log('refused')
        else:
            self.log('accepted')

    def turn(self, count=1):
        for _ in range(count):
            self.loop.stop()
            self.loop.run_forever()

    def until(self, condition):
        for _ in range(100000):
            if condition():
                self.turn(3)
                return
            self.turn()
        self.log('IN-VAIN')

    def clients(self, count):
        for i in range(count):
            self.connect()
            self.until(lambda: self.made == i + 1)

    def wait(self, word):
        task = self.loop.create_task(self.server.wait_closed())
        task.add_done_callback(lambda _: self.log(word))
        return task

    def soon(self, word, function):
        def called():
            self.log(word)
            function()
        self.loop.call_soon(called)

    def state(self):
        self.log(f'serving={self.server.is_serving():d},sockets={len(self.server.sockets)}')

    def end(self):
        self.server.close()
        for peer in self.peers:
            peer.close()
        for conn in self.conns:
            if not conn.ended:
                conn.transport.abort()
        self.turn(5)
        self.loop.close()


@scenario
def accept_order(stage):
    stage.serve()
    stage.state()
    for _ in range(3):
        stage.connect()
    stage.until(lambda: stage.made == 3)


@scenario
def early_data(stage):
    stage.serve()
    peer = stage.connect()
    peer.send(b'early')
    peer.shutdown(socket.SHUT_WR)
    stage.until(lambda: stage.conns and stage.conns[0].ended)


@scenario
def close(stage):
    stage.serve()
    stage.clients(1)
    stage.server.close()
    stage.state()
    stage.server.close()
    stage.turn(3)
    stage.try_connect()
    stage.peers[0].send(b'open')
    stage.turn(5)
    stage.peers[0].close()
    stage.until(lambda: stage.conns[0].ended)


@scenario
def close_in_the_pass_of_an_accept(stage):
    stage.serve()
    stage.connect()
    stage.soon('close', stage.server.close)
    stage.turn(5)
    stage.try_connect()


@scenario
def close_in_made(stage):
    stage.serve()
    stage.hooks['made'] = lambda conn: stage.server.close()
    stage.connect()
    stage.until(lambda: stage.made == 1)
    stage.state()
    stage.try_connect()


@scenario
def wait_before_close(stage):
    stage.serve()
    stage.clients(2)
    stage.wait('first')
    stage.wait('second')
    stage.turn(3)
    stage.log('closing')
    stage.server.close()
    stage.turn(3)
    stage.log('closed')
    stage.peers[0].close()
    stage.until(lambda: stage.conns[0].ended)
    stage.log('one-left')
    stage.peers[1].close()
    stage.until(lambda: stage.conns[1].ended)


@scenario
def wait_before_close_without_clients(stage):
    stage.serve()
    stage.wait('waited')
    stage.turn(3)
    stage.log('closing')
    stage.server.close()
    stage.turn(4)


@scenario
def wait_after_close(stage):
    stage.serve()
    stage.clients(1)
    stage.server.close()
    stage.wait('waited')
    stage.turn(4)
    stage.log('still-open')
    stage.conns[0].transport.close()
    stage.until(lambda: stage.conns[0].ended)


@scenario
def wait_twice(stage):
    stage.serve()
    stage.clients(1)
    stage.wait('before')
    stage.turn(2)
    stage.server.close()
    stage.wait('after')
    stage.turn(4)
    stage.conns[0].transport.abort()
    stage.until(lambda: stage.conns[0].ended)


@scenario
def close_all_in_lost(stage):
    stage.serve()
    stage.clients(3)
    stage.wait('waited')
    stage.turn(2)
    stage.server.close()
    stage.hooks['lost'] = lambda conn: [other.transport.abort() for other in stage.conns if not other.ended]
    stage.conns[1].transport.close()
    stage.until(lambda: all(conn.ended for conn in stage.conns))


@scenario
def serve_forever_cancelled(stage):
    stage.serve()
    stage.clients(1)
    task = stage.loop.create_task(stage.server.serve_forever())
    task.add_done_callback(lambda _: stage.log('cancelled' if task.cancelled() else 'ended'))
    stage.turn(3)
    stage.state()
    task.cancel()
    stage.turn(5)
    stage.state()
    stage.try_connect()


@scenario
def serve_forever_closed(stage):
    stage.serve()
    task = stage.loop.create_task(stage.server.serve_forever())
    task.add_done_callback(lambda _: stage.log('cancelled' if task.cancelled() else 'ended'))
    stage.turn(3)
    stage.server.close()
    stage.log('closed')
    stage.turn(5)


@scenario
def start_later(stage):
    stage.serve(start_serving=False)
    stage.state()
    stage.try_connect()
    stage.loop.run_until_complete(stage.server.start_serving())
    stage.loop.run_until_complete(stage.server.start_serving())
    stage.state()
    stage.clients(1)


@scenario
def start_by_serve_forever(stage):
    stage.serve(start_serving=False)
    task = stage.loop.create_task(stage.server.serve_forever())
    task.add_done_callback(lambda _: stage.log('cancelled' if task.cancelled() else 'ended'))
    stage.turn(3)
    stage.state()
    stage.clients(1)
    task.cancel()
    stage.turn(5)


@scenario
def close_before_start(stage):
    stage.serve(start_serving=False)
    stage.server.close()
    stage.state()
    stage.turn(3)


@scenario
def clients_reset(stage):
    stage.serve()
    stage.clients(1)
    stage.conns[0].transport.write(b'unread')
    stage.turn(3)
    stage.peers[0].close()
    stage.until(lambda: stage.conns[0].ended)
    stage.state()


def passes(stage, **options):
    task = stage.loop.create_task(stage.create(**options))
    count = 0
    while not task.done():
        stage.turn()
        count += 1
    stage.log(f'passes={count}')
    stage.use(task.result())


@scenario
def passes_to_serve(stage):
    passes(stage)
    stage.clients(1)


@scenario
def passes_to_bind(stage):
    passes(stage, start_serving=False)
    stage.try_connect()


UNIX_ONLY = (passes_to_serve, passes_to_bind)  # over TCP asyncio looks names up in passes of its own


def main():
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/socket' if sys.argv[1] == 'unix' else None
        for function in SCENARIOS:
            if not path and function in UNIX_ONLY:
                continue
            if len(sys.argv) > 2 and sys.argv[2] != function.__name__:
                continue
            stage = Stage(path)  # the file of the one before is still there
            function(stage)
            print(f'{function.__name__}: ' + ' '.join(stage.words))
            stage.end()


if __name__ == '__main__':
    main()
