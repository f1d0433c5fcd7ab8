#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scenarios of dgram_trace.c in asyncio: endpoints of one loop and plain sockets, each line a trace."""
import asyncio
import socket

WORDS = []


class Recorder(asyncio.DatagramProtocol):
    def __init__(self, name, **hooks):
        self.name = name
        self.count = 0
        self.hooks = hooks

    def hook(self, event):
        if event in self.hooks:
            self.hooks[event](self)

    def connection_made(self, transport):
        self.transport = transport
        WORDS.append(f'{self.name}.made')
        self.hook('made')

    def datagram_received(self, data, addr):
        self.count += 1
        WORDS.append(f'{self.name}.got:{data.decode()}')
        self.hook('got')

    def error_received(self, error):
        WORDS.append(f'{self.name}.error:{type(error).__name__}')
        self.hook('error')

    def connection_lost(self, error):
        WORDS.append(f'{self.name}.lost:{error}')
        self.hook('lost')

    def soon(self, word):
        asyncio.get_running_loop().call_soon(WORDS.append, word)


async def bind(protocol):
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, local_addr=('127.0.0.1', 0))
    WORDS.append('returned')
    return protocol.transport.get_extra_info('sockname')


async def passes(count):
    for _ in range(count):
        await asyncio.sleep(0)


def peer(count, to):
    """@count datagrams wait at @to."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(('127.0.0.1', 0))
    for i in range(count):
        sock.sendto(b'%d' % i, to)
    return sock


async def settle(*protocols):
    """Only what goes on by itself from here."""
    for protocol in protocols:
        protocol.transport.abort()
    await passes(4)


async def fill(protocol, count):
    sock = peer(count, await bind(protocol))
    await asyncio.sleep(0.02)
    sock.close()
    await settle(protocol)


async def made():
    await fill(Recorder('a', made=lambda a: a.soon('soon')), 1)


async def plain():
    await fill(Recorder('a'), 5)


async def calls():
    await fill(Recorder('a', got=lambda a: a.soon(f's{a.count}')), 4)


async def some_calls():
    await fill(Recorder('a', got=lambda a: a.count % 3 == 0 and a.soon(f's{a.count}')), 8)


async def chain():
    def got(a):
        if a.count == 2:
            asyncio.get_running_loop().call_soon(lambda: (WORDS.append('first'), a.soon('second')))
    await fill(Recorder('a', got=got), 6)


async def timers():
    def got(a):
        if a.count in (1, 3):
            asyncio.get_running_loop().call_later(0, WORDS.append, f't{a.count}')
    await fill(Recorder('a', got=got), 6)


async def close():
    await fill(Recorder('a', got=lambda a: (a.soon('soon'), a.transport.close())), 3)


async def abort():
    await fill(Recorder('a', got=lambda a: (a.transport.abort(), a.soon('soon'))), 3)


async def pause():
    def got(a):
        if a.count == 2:
            a.transport.pause_reading()
            asyncio.get_running_loop().call_later(0.005, lambda: (WORDS.append('go'), a.transport.resume_reading()))
    await fill(Recorder('a', got=got), 5)


async def pause_and_go():
    def got(a):
        a.transport.pause_reading()
        a.soon('soon')
        a.transport.resume_reading()
    await fill(Recorder('a', got=got), 3)


async def pause_go_pause():
    def go(a):
        WORDS.append('go')
        a.transport.resume_reading()

    def got(a):
        if a.count != 2:
            return
        a.transport.pause_reading()
        a.transport.resume_reading()
        a.transport.pause_reading()
        asyncio.get_running_loop().call_soon(go, a)
        asyncio.get_running_loop().call_later(0, WORDS.append, 't2')
    await fill(Recorder('a', got=got), 4)


def toggle_soon(a):
    def toggle():
        a.transport.pause_reading()
        a.transport.resume_reading()
        a.soon('soon')
    asyncio.get_running_loop().call_soon(toggle)


async def pause_before_turn():
    await fill(Recorder('a', got=toggle_soon), 3)


async def too_long():
    a = Recorder('a', error=lambda a: a.soon('soon'))
    to = await bind(a)
    WORDS.append('before')
    a.transport.sendto(bytes(70000), to)
    WORDS.append('behind')
    await passes(3)
    await settle(a)


async def failing():
    def got(a):
        a.soon('soon')
        raise RuntimeError('no')
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: WORDS.append('report'))
    await fill(Recorder('a', got=got), 3)


async def refused():
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(('127.0.0.1', 0))
        to = sock.getsockname()
    a = Recorder('a', error=lambda a: a.soon('soon'))
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: a, remote_addr=to)
    for _ in range(3):
        a.transport.sendto(b'x')
        await asyncio.sleep(0.005)
    await settle(a)


async def pair():
    mine, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a = Recorder('a', got=toggle_soon)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: a, sock=mine)
    WORDS.append('returned')
    for i in range(3):
        others.send(b'%d' % i)
    await asyncio.sleep(0.02)
    others.close()
    await settle(a)


async def lost():
    a = Recorder('a', lost=lambda a: (a.soon('soon'), a.transport.close()))
    await bind(a)
    a.transport.close()
    WORDS.append('closed')
    await settle(a)


SCENARIOS = (made, plain, calls, some_calls, chain, timers, close, abort, pause, pause_and_go, pause_go_pause, pause_before_turn, too_long, failing,
             refused, pair, lost)

for scenario in SCENARIOS:
    WORDS.clear()
    asyncio.run(scenario())
    print(f'{scenario.__name__}:', ' '.join(WORDS))
