#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Watched descriptors and low-level socket operations on Python's asyncio, one line for each scenario. watch_order.c does
the same on Rondo, function by function; the lines are those of watch_order_selector.txt on both.

usage: watch_order.py [SCENARIO]

Each pass of the loop is a word of its own ("|"). Nothing waits for time: AF_UNIX delivers at once, and so does a
connect on the loopback.
"""
import asyncio
import socket
import sys

SCENARIOS = []
HUGE = 1000000


def scenario(function):
    SCENARIOS.append(function)
    return function


class Stage:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.log('reported'))
        self.words = []
        self.a, self.b = socket.socketpair()
        self.a.setblocking(False)

    def log(self, word):
        self.words.append(word)

    def soon(self, word, action=None):
        self.loop.call_soon(self.say, word, action)

    def say(self, word, action):
        self.log(word)
        if action:
            action()

    def reader(self, word, action=None):
        self.loop.add_reader(self.a, self.say, word, action)

    def writer(self, word, action=None):
        self.loop.add_writer(self.a, self.say, word, action)

    def remove_reader(self):
        self.log('removed' if self.loop.remove_reader(self.a) else 'nothing')

    def remove_writer(self):
        self.log('removed' if self.loop.remove_writer(self.a) else 'nothing')

    def send(self):
        self.b.send(b'x')

    def turn(self, count=1):
        for _ in range(count):
            self.log('|')
            self.loop.stop()
            self.loop.run_forever()

    def task(self, coroutine):
        return self.loop.create_task(coroutine)

    def end(self):
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        words = list(self.words)
        self.loop.stop()
        self.loop.run_forever()
        self.loop.stop()
        self.loop.run_forever()
        self.loop.close()
        self.a.close()
        self.b.close()
        return words


@scenario
def reader_before_timer(stage):
    stage.reader('r')
    stage.turn()
    stage.send()
    stage.loop.call_at(stage.loop.time(), stage.say, 'timer', None)
    stage.turn(2)


@scenario
def call_before_reader(stage):
    stage.reader('r')
    stage.send()
    stage.soon('A', lambda: stage.soon('B'))
    stage.turn(3)


@scenario
def reader_before_writer(stage):
    stage.writer('w')
    stage.reader('r')
    stage.send()
    stage.turn(2)


@scenario
def removed_while_queued(stage):
    stage.reader('r')
    stage.send()
    stage.soon('A', stage.remove_reader)
    stage.turn(2)
    stage.remove_reader()


@scenario
def replaced_while_queued(stage):
    stage.reader('old')
    stage.send()
    stage.soon('A', lambda: stage.reader('new'))
    stage.turn(3)


@scenario
def reader_removes_writer(stage):
    stage.reader('r', stage.remove_writer)
    stage.writer('w')
    stage.send()
    stage.turn(2)


@scenario
def reader_removes_itself_and_writer_stays(stage):
    stage.reader('r', stage.remove_reader)
    stage.writer('w')
    stage.send()
    stage.turn(3)
    stage.remove_writer()
    stage.turn(1)


@scenario
def writer_removes_reader(stage):
    stage.reader('r')
    stage.writer('w', stage.remove_reader)
    stage.send()
    stage.turn(3)


@scenario
def writer_adds_reader(stage):
    stage.writer('w', lambda: (stage.remove_writer(), stage.reader('r')))
    stage.send()
    stage.turn(3)


@scenario
def replaces_itself(stage):
    stage.reader('one', lambda: stage.reader('two', lambda: stage.reader('three')))
    stage.send()
    stage.turn(4)


@scenario
def removed_and_added_again(stage):
    stage.reader('r')
    stage.turn(1)
    stage.send()

    def again():
        stage.remove_reader()
        stage.reader('r')
    stage.soon('A', again)
    stage.turn(3)


@scenario
def fails_and_stays(stage):
    def fail():
        raise ValueError
    stage.reader('r', fail)
    stage.send()
    stage.turn(2)


@scenario
def closes_and_reopens(stage):
    def reopen():
        stage.remove_reader()
        stage.a.close()
        stage.b.close()
        stage.a, stage.b = socket.socketpair()
        stage.reader('new')
    stage.reader('old', reopen)
    stage.send()
    stage.turn(3)
    stage.send()
    stage.turn(2)


@scenario
def receives_at_once(stage):
    async def task():
        stage.log('begin')
        stage.soon('soon')
        stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))
    stage.send()
    stage.task(task())
    stage.turn(3)


@scenario
def receives_later(stage):
    async def task():
        stage.log('begin')
        stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))
        stage.soon('soon')
        stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))
    stage.task(task())
    stage.turn(2)
    stage.send()
    stage.turn(3)
    stage.send()
    stage.soon('A')
    stage.turn(3)


@scenario
def end_of_stream(stage):
    async def task():
        stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))
    stage.task(task())
    stage.turn(2)
    stage.b.shutdown(socket.SHUT_WR)
    stage.turn(3)


@scenario
def sends_a_lot(stage):
    async def task():
        stage.log('begin')
        await stage.loop.sock_sendall(stage.a, bytes(HUGE))
        stage.log('sent')
    task = stage.task(task())
    stage.b.setblocking(False)
    while not task.done():
        stage.turn(1)
        try:
            while stage.b.recv(HUGE):
                pass
        except BlockingIOError:
            pass


async def receive_again(stage):
    try:
        await stage.loop.sock_recv(stage.a, 10)
    except asyncio.CancelledError:
        stage.log('cancelled')
    stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))


@scenario
def cancelled_receive(stage):
    task = stage.task(receive_again(stage))
    stage.turn(2)
    task.cancel()
    stage.turn(2)
    stage.send()
    stage.turn(3)


@scenario
def cancelled_with_data_there(stage):
    task = stage.task(receive_again(stage))
    stage.turn(2)
    stage.send()
    task.cancel()
    stage.turn(3)


@scenario
def cancelled_in_the_pass_of_the_data(stage):
    task = stage.task(receive_again(stage))
    stage.turn(2)
    stage.send()
    stage.soon('A', task.cancel)
    stage.turn(3)


@scenario
def cancelled_after_the_data(stage):
    async def receive():
        stage.log(str(len(await stage.loop.sock_recv(stage.a, 10))))
    task = stage.task(receive())
    stage.turn(2)
    stage.send()
    stage.turn(1)
    task.cancel()
    stage.turn(2)
    stage.log('cancelled' if task.cancelled() else 'done')


@scenario
def accepts_and_connects(stage):
    listener = socket.socket()
    listener.setblocking(False)
    listener.bind(('127.0.0.1', 0))
    listener.listen()
    client = socket.socket()
    client.setblocking(False)

    async def accept():
        stage.log('accept')
        sock, _ = await stage.loop.sock_accept(listener)
        stage.log('accepted')
        sock.close()

    async def connect():
        stage.log('connect')
        await stage.loop.sock_connect(client, listener.getsockname())
        stage.log('connected')
    stage.task(accept())
    stage.turn(2)
    stage.task(connect())
    stage.turn(4)
    listener.close()
    client.close()


@scenario
def connection_refused(stage):
    bound = socket.socket()
    bound.bind(('127.0.0.1', 0))
    client = socket.socket()
    client.setblocking(False)

    async def connect():
        try:
            await stage.loop.sock_connect(client, bound.getsockname())
        except ConnectionRefusedError:
            stage.log('refused')
    stage.task(connect())
    stage.turn(3)
    client.close()
    bound.close()


def main():
    for function in SCENARIOS:
        if len(sys.argv) > 1 and function.__name__ != sys.argv[1]:
            continue
        stage = Stage()
        function(stage)
        print(f'{function.__name__}: {" ".join(stage.end())}')


main()
