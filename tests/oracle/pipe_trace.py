#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The life of pipe transports on Python's asyncio, one line for each scenario. pipe_trace.c does the same on Rondo,
function by function; the lines are those of pipe_trace.txt on both.

usage: pipe_trace.py [SCENARIO]

The other end of each pipe is written to and read from in the same thread. Data comes on a pipe of its own pass by pass, so
what is in the trace depends on no time.
"""
import asyncio
import logging
import os
import sys

SCENARIOS = []
LARGE = 300000


def scenario(function):
    SCENARIOS.append(function)
    return function


class Failure(Exception):
    pass


class Stage(asyncio.Protocol):
    """The loop, one pipe transport with its protocol, and the other end."""

    def __init__(self):
        self.loop = asyncio.SelectorEventLoop()
        self.loop.set_exception_handler(lambda loop, context: self.log('reported'))
        self.words, self.hooks = [], {}
        self.keep = False

    def log(self, word):
        self.words.append(word)

    def hook(self, name):
        self.log(name)
        if name.partition(':')[0] in self.hooks:
            self.hooks[name.partition(':')[0]]()

    def connection_made(self, transport):
        self.transport = transport
        self.hook('made')

    def data_received(self, data):
        self.hook(f'data:{len(data)}')

    def eof_received(self):
        self.hook('eof')
        return self.keep

    def connection_lost(self, error):
        self.hook(f'lost:{0 if error is None else type(error).__name__}')

    def pause_writing(self):
        self.hook('stall')

    def resume_writing(self):
        self.hook('flow')

    def fail(self):
        raise Failure

    def passes(self, count):
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def soon(self, word):
        self.loop.call_soon(self.log, word)

    def reader(self):
        ours, self.other = os.pipe()
        os.set_blocking(ours, False)
        self.loop.run_until_complete(self.loop.connect_read_pipe(lambda: self, open(ours, 'rb', 0)))

    def writer(self):
        self.other, ours = os.pipe()
        os.set_blocking(ours, False)
        os.set_blocking(self.other, False)
        self.loop.run_until_complete(self.loop.connect_write_pipe(lambda: self, open(ours, 'wb', 0)))

    def drain(self):
        total = 0
        for _ in range(100):
            try:
                while data := os.read(self.other, 65536):
                    total += len(data)
            except BlockingIOError:
                pass
            self.passes(1)
        self.log(f'drained:{total}')


@scenario
def end(stage):
    stage.reader()
    os.write(stage.other, b'hello')
    stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def last_words(stage):
    stage.reader()
    os.write(stage.other, b'hello')
    os.close(stage.other)
    stage.passes(5)


@scenario
def end_kept(stage):
    stage.keep = True
    stage.reader()
    os.close(stage.other)
    stage.passes(5)


@scenario
def between_eof_and_lost(stage):
    stage.hooks['eof'] = lambda: (stage.soon('A'), stage.transport.close(), stage.soon('B'))
    stage.reader()
    os.close(stage.other)
    stage.passes(5)


@scenario
def calls_around_the_end(stage):
    stage.reader()
    os.close(stage.other)
    stage.soon('A')
    stage.passes(1)
    stage.soon('B')
    stage.passes(1)
    stage.soon('C')
    stage.passes(3)


@scenario
def close_in_data(stage):
    stage.hooks['data'] = lambda: (stage.soon('A'), stage.transport.close(), stage.soon('B'))
    stage.reader()
    os.write(stage.other, b'hello')
    os.close(stage.other)
    stage.passes(5)


@scenario
def paused_over_the_end(stage):
    stage.hooks['made'] = lambda: stage.transport.pause_reading()
    stage.reader()
    os.write(stage.other, b'hello')
    os.close(stage.other)
    stage.passes(4)
    stage.log('resume')
    stage.transport.resume_reading()
    stage.passes(5)


@scenario
def close_twice(stage):
    stage.reader()
    stage.soon('A')
    stage.transport.close()
    stage.transport.close()
    stage.soon('B')
    stage.passes(3)
    os.close(stage.other)


@scenario
def reader_leaves(stage):
    stage.writer()
    stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def reader_leaves_data(stage):
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def reader_leaves_closing(stage):
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.transport.close()
    stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def write_to_nobody(stage):
    stage.writer()
    os.close(stage.other)
    stage.soon('A')
    stage.transport.write(b'lost')
    stage.soon('B')
    stage.transport.write(b'ignored')
    stage.passes(4)


@scenario
def close_with_data(stage):
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.transport.close()
    stage.transport.write(b'ignored')
    stage.passes(2)
    stage.drain()


@scenario
def eof_with_data(stage):
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.transport.write_eof()
    stage.passes(2)
    stage.drain()


@scenario
def resume_when_empty(stage):
    stage.writer()
    stage.transport.set_write_buffer_limits(200000, 150000)
    stage.transport.write(bytes(LARGE))
    for _ in range(3):
        os.read(stage.other, 65536)
        stage.passes(4)
    stage.log('below')
    stage.drain()


@scenario
def abort_with_data(stage):
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.soon('A')
    stage.transport.abort()
    stage.soon('B')
    stage.passes(3)


@scenario
def eof_then_calls(stage):
    stage.writer()
    stage.transport.write(b'hello')
    stage.soon('A')
    stage.transport.write_eof()
    stage.transport.write_eof()
    stage.soon('B')
    stage.passes(3)
    stage.drain()


@scenario
def write_in_made(stage):
    stage.hooks['made'] = lambda: stage.transport.write(b'hello')
    stage.writer()
    stage.passes(1)
    stage.transport.close()
    stage.drain()


@scenario
def fail_in_made(stage):
    stage.hooks['made'] = stage.fail
    stage.reader()
    os.write(stage.other, b'hello')
    stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def fail_in_data(stage):
    stage.hooks['data'] = stage.fail
    stage.reader()
    for _ in range(2):
        os.write(stage.other, b'hello')
        stage.passes(2)
    os.close(stage.other)
    stage.passes(4)


@scenario
def fail_in_eof(stage):
    stage.hooks['eof'] = stage.fail
    stage.reader()
    os.close(stage.other)
    stage.passes(4)


@scenario
def fail_in_lost(stage):
    stage.hooks['lost'] = stage.fail
    stage.reader()
    os.close(stage.other)
    stage.passes(4)


@scenario
def fail_in_stall(stage):
    stage.hooks['stall'] = stage.fail
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.log('on')
    stage.passes(2)
    stage.drain()


@scenario
def fail_in_flow(stage):
    stage.hooks['flow'] = stage.fail
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.passes(2)
    stage.drain()
    stage.transport.write(b'hello')
    stage.drain()


@scenario
def abort_in_stall(stage):
    stage.hooks['stall'] = lambda: (stage.soon('A'), stage.transport.abort(), stage.soon('B'))
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.log('on')
    stage.passes(3)


@scenario
def close_in_stall(stage):
    stage.hooks['stall'] = lambda: (stage.soon('A'), stage.transport.close(), stage.soon('B'))
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.log('on')
    stage.passes(3)
    stage.drain()


@scenario
def write_in_flow(stage):
    stage.hooks['flow'] = lambda: (stage.soon('A'), stage.transport.write(b'hello'), stage.soon('B'))
    stage.writer()
    stage.transport.write(bytes(LARGE))
    stage.passes(2)
    stage.drain()


@scenario
def pause_in_data(stage):
    stage.hooks['data'] = lambda: stage.transport.pause_reading()
    stage.reader()
    os.write(stage.other, b'hello')
    stage.passes(2)
    os.write(stage.other, b'hi')
    stage.passes(2)
    stage.log('resume')
    stage.transport.resume_reading()
    stage.passes(2)
    os.close(stage.other)
    stage.passes(3)
    stage.log('resume')
    stage.transport.resume_reading()
    stage.passes(4)


@scenario
def pause_in_eof(stage):
    stage.hooks['eof'] = lambda: stage.transport.pause_reading()
    stage.reader()
    os.close(stage.other)
    stage.passes(4)


@scenario
def soon_in_each(stage):
    for name in 'made', 'data', 'eof', 'lost':
        stage.hooks[name] = lambda name=name: stage.soon('after-' + name)
    stage.reader()
    os.write(stage.other, b'hello')
    os.close(stage.other)
    stage.soon('A')
    stage.passes(6)


@scenario
def limits_while_full(stage):
    stage.writer()
    stage.transport.set_write_buffer_limits(1000000)
    stage.transport.write(bytes(LARGE))
    stage.log('quiet')
    stage.transport.set_write_buffer_limits(5, 1)
    stage.passes(2)
    stage.drain()


@scenario
def reader_leaves_then_write(stage):
    stage.writer()
    os.close(stage.other)
    stage.passes(1)
    stage.transport.write(b'hello')
    stage.soon('A')
    stage.passes(4)


def main():
    logging.disable(logging.CRITICAL)
    for function in SCENARIOS:
        if len(sys.argv) > 1 and sys.argv[1] != function.__name__:
            continue
        stage = Stage()
        function(stage)
        print(f'{function.__name__}: ' + ' '.join(stage.words))
        stage.words = []
        stage.loop.close()


if __name__ == '__main__':
    main()
