#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the scenarios of net_scenarios.txt on Python's asyncio and prints what happened.

One line for each. net_trace.c does the same on Rondo; the lines of a selector are those of
net_selector.txt on both, those of a proactor those of net_proactor.txt. Each scenario has one stream
transport over one end of a socket pair; the other end, "the peer", is a plain socket. Nothing here waits
for time: AF_UNIX delivers at once.

--loop selector   asyncio's own selector loop
--loop proactor   asyncio.proactor_events over a small proactor made of a selector (below)
"""
import argparse
import asyncio
import asyncio.proactor_events
import asyncio.selector_events
import errno
import logging
import select
import selectors
import socket
import struct
import sys


class Proactor:
    """The operations that proactor_events needs. Each is tried when it can be done, in the poll
    step, as an io_uring would do it; a send completes when everything is sent."""

    def __init__(self):
        self.selector = selectors.EpollSelector()
        self.reads, self.writes = {}, {}
        self.loop = None

    def set_loop(self, loop):
        self.loop = loop

    def watch(self, sock):
        fd = sock if isinstance(sock, int) else sock.fileno()
        mask = 0
        if self.live(self.reads, fd):
            mask |= selectors.EVENT_READ
        if self.live(self.writes, fd):
            mask |= selectors.EVENT_WRITE
        known = fd in self.selector.get_map()
        if mask and known:
            self.selector.modify(fd, mask)
        elif mask:
            self.selector.register(fd, mask)
        elif known:
            self.selector.unregister(fd)

    @staticmethod
    def live(table, fd):
        if fd in table and table[fd][0].done():
            del table[fd]
        return fd in table

    def submit(self, table, sock, attempt):
        future = self.loop.create_future()
        future.add_done_callback(lambda _: self.watch(fd) if fd in self.selector.get_map() else None)
        fd = sock.fileno()
        self.live(table, fd)
        table[fd] = (future, attempt)
        self.watch(sock)
        return future

    def recv(self, sock, size):
        return self.submit(self.reads, sock, lambda: sock.recv(size))

    def recv_into(self, sock, buffer):
        return self.submit(self.reads, sock, lambda: sock.recv_into(buffer))

    def send(self, sock, data):
        left = memoryview(bytes(data))

        def attempt():
            nonlocal left
            while left:
                left = left[sock.send(left):]
            return len(data)
        return self.submit(self.writes, sock, attempt)

    def select(self, timeout=None):
        for key, mask in self.selector.select(timeout):
            for bit, table in ((selectors.EVENT_READ, self.reads), (selectors.EVENT_WRITE, self.writes)):
                if mask & bit and self.live(table, key.fd):
                    self.attempt(table, key.fd)
            self.watch(key.fd)
        return []

    @staticmethod
    def attempt(table, fd):
        future, attempt = table[fd]
        try:
            result = attempt()
        except BlockingIOError:
            return
        except OSError as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        del table[fd]

    def _stop_serving(self, sock):
        sock.close()

    def close(self):
        self.selector.close()


class ProactorLoop(asyncio.proactor_events.BaseProactorEventLoop):
    def __init__(self):
        super().__init__(Proactor())


class SelectorTransport(asyncio.selector_events._SelectorSocketTransport):
    """Closed from resume_writing with nothing left to send, CPython's calls connection_lost twice:
    at once, and, as everywhere else, from the queue (TRN-07). Only the second is kept. And it calls
    eof_received anew when reading is paused and resumed after the end of the stream (TRN-18)."""

    flushing = ended = False

    def _read_ready__on_eof(self):
        self.ended = True
        super()._read_ready__on_eof()

    def _add_reader(self, *arguments):
        if not self.ended:
            super()._add_reader(*arguments)

    def _write_ready(self):
        self.flushing = True
        super()._write_ready()
        self.flushing = False

    def _call_connection_lost(self, error):
        if not (self.flushing and self._conn_lost):
            super()._call_connection_lost(error)


class SelectorLoop(asyncio.SelectorEventLoop):
    def _make_socket_transport(self, sock, protocol, waiter=None, *, extra=None, server=None):
        return SelectorTransport(self, sock, protocol, waiter, extra, server)


class Socket(socket.socket):
    """shutdown fails after a reset on Linux, which proactor_events does not expect."""

    def shutdown(self, how):
        try:
            super().shutdown(how)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise


def tcp_pair():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


PERIOD = bytes((i * 7 + (i >> 8)) & 255 for i in range(65536))


def pattern(start, count):
    """The bytes at these positions, as pattern_fill makes them."""
    start %= len(PERIOD)
    return (PERIOD * (2 + count // len(PERIOD)))[start:start + count]


class Failure(Exception):
    pass


class Scenario:
    def __init__(self, name):
        self.name = name
        self.handlers = {}
        self.main = []
        self.first = 'plain'
        self.is_tcp = False


class Player:
    """One run of one scenario."""

    def __init__(self, scenario, loop, merge):
        self.scenario, self.loop, self.merge = scenario, loop, merge
        self.transport = None
        self.counts = {}
        self.lines = []
        self.data = 0
        self.data_name = None
        self.sent = self.received = self.peer_sent = self.peer_received = 0
        self.keep = self.ended = self.over = False
        near, far = tcp_pair() if scenario.is_tcp else socket.socketpair()
        self.near, self.peer = Socket(near.family, near.type, near.proto, near.detach()), far
        self.peer.setblocking(False)
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # the system's own may be anything
        loop.set_exception_handler(self.on_exception)

    # --- the trace

    def flush(self):
        if self.data:
            self.lines.append(f'{self.data_name} data {self.data}')
            self.data = 0

    def log(self, line):
        self.flush()
        self.lines.append(line)

    def log_data(self, name, count):
        if self.merge and self.data and self.data_name == name:
            self.data += count
            return
        self.flush()
        self.data, self.data_name = count, name
        if not self.merge:
            self.flush()

    def on_exception(self, loop, context):
        error = context.get('exception')
        kind = 'failure' if isinstance(error, Failure) else 'error'
        self.log(f'reported {kind}')

    # --- events

    def event(self, protocol, name, text=''):
        self.log(f'{protocol.name} {name}{text}')
        return self.handle(name)

    def handle(self, name):
        self.keep = False
        self.counts[name] = self.counts.get(name, 0) + 1
        handlers = self.scenario.handlers
        actions = handlers.get(f'{name} {self.counts[name]}', handlers.get(name, []))
        self.perform(actions)
        return self.keep

    def got(self, protocol, data):
        if bytes(data) != pattern(self.received, len(data)):
            self.log('CORRUPT')
        self.received += len(data)
        self.log_data(protocol.name, len(data))
        self.handle('data')

    def lost(self, error):
        self.ended = True
        names = {ConnectionResetError: 'reset', BrokenPipeError: 'pipe', Failure: 'failure'}
        if self.merge and isinstance(error, ConnectionError):
            return 'gone'  # which half of a proactor's stream hears of it first is open
        return 'none' if error is None else names.get(type(error), 'error')

    # --- actions

    # asyncio's transports are not made for being called after connection_lost has returned.
    NOT_WHEN_OVER = 'close', 'abort', 'write', 'writelines', 'weof', 'pause', 'resume', 'limits', 'proto'

    def perform(self, actions):
        for action in actions:
            verb, *args = action.split()
            if self.over and verb in self.NOT_WHEN_OVER:
                continue
            getattr(self, 'do_' + verb)(*args)

    def do_log(self, text):
        self.log(text)

    def do_close(self):
        self.transport.close()

    def do_abort(self):
        self.transport.abort()

    def take(self, count):
        data = pattern(self.sent, count)
        self.sent += count
        return data

    def guarded(self, data, write):
        try:
            write()
        except RuntimeError:
            self.sent -= len(data)
            self.log('refused')

    def do_write(self, count):
        data = self.take(int(count))
        self.guarded(data, lambda: self.transport.write(data))

    def do_writelines(self, *counts):
        pieces = [self.take(int(count)) for count in counts]
        self.guarded(b''.join(pieces), lambda: self.transport.writelines(pieces))

    def do_lostwrite(self, count):
        """A write that is dropped: its bytes do not count."""
        self.transport.write(bytes(int(count)))

    def do_weof(self):
        self.transport.write_eof()

    def do_pause(self):
        self.transport.pause_reading()

    def do_resume(self):
        self.transport.resume_reading()

    def do_limits(self, high, low):
        high, low = (None if mark == '-' else int(mark) for mark in (high, low))
        try:
            self.transport.set_write_buffer_limits(high, low)
        except ValueError:
            self.log('limits refused')

    def do_marks(self):
        self.log('marks %d %d' % self.transport.get_write_buffer_limits())

    def do_state(self):
        transport = self.transport
        self.log(f'closing={transport.is_closing():d} reading={transport.is_reading():d} '
                 f'eof={transport.can_write_eof():d}')

    def do_size(self):
        self.log('size ' + ('0' if not self.transport.get_write_buffer_size() else '+'))

    def do_proto(self, name):
        self.transport.set_protocol(PROTOCOLS[name](self))

    def do_raise(self):
        raise Failure

    def do_keep(self):
        self.keep = True

    def do_soon(self, name):
        self.loop.call_soon(self.called, name)

    def called(self, name):
        self.log('call ' + name)
        self.perform(self.scenario.handlers.get('call ' + name, []))

    def do_pass(self, count='1'):
        for _ in range(int(count)):
            before = len(self.lines), self.data
            self.turn()
            if (len(self.lines), self.data) != before and not self.merge:
                self.log('|')

    def turn(self):
        self.loop.stop()
        self.loop.run_forever()

    # --- the peer

    def arrived(self, events=select.POLLIN):
        """What the peer did is there: TCP may take a moment. A proactor may have taken data already."""
        if self.scenario.is_tcp and not self.over and not (self.merge and events):
            poll = select.poll()
            poll.register(self.transport.get_extra_info('socket').fileno(), events)
            poll.poll(10000)

    def do_psend(self, count):
        data = pattern(self.peer_sent, int(count))
        self.peer_sent += len(data)
        try:
            if self.peer.send(data) != len(data):
                self.log('SHORT')
            self.arrived()
        except OSError as error:
            self.log('peer cannot send')

    def do_pshut(self):
        self.peer.shutdown(socket.SHUT_WR)
        self.arrived()

    def do_pclose(self):
        self.peer.close()
        self.arrived()

    def do_preset(self):
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.peer.close()
        self.arrived(0)

    def do_drain(self):
        quiet, end = 0, ''
        while quiet < 4:
            before = len(self.lines), self.data, self.peer_received
            end = self.fetch(1 << 30)[1] or end
            self.turn()
            quiet = quiet + 1 if before == (len(self.lines), self.data, self.peer_received) else 0
        self.log(f'peer got {self.peer_received} in all{end}')

    def do_pread(self):
        total, end = self.fetch(1 << 30)
        self.log(f'peer got {total}{end}')

    def fetch(self, limit):
        """What the peer can read now, at most @limit bytes, and how the stream ended, if it did."""
        total = 0
        while total < limit:
            try:
                data = self.peer.recv(min(65536, limit - total))
            except BlockingIOError:
                return total, ''
            except ConnectionResetError:
                return total, ' reset'
            if not data:
                return total, ' eof'
            if data != pattern(self.peer_received, len(data)):
                self.log('CORRUPT')
            self.peer_received += len(data)
            total += len(data)
        return total, ''

    # --- the run

    def play(self):
        async def connect():
            self.transport, _ = await self.loop.create_connection(
                lambda: PROTOCOLS[self.scenario.first](self), sock=self.near)
        self.loop.run_until_complete(connect())
        self.log('connected')
        self.perform(self.scenario.main)
        self.flush()
        if not self.ended:
            self.transport.abort()
        for _ in range(3):
            self.turn()
        self.peer.close()


class Plain(asyncio.Protocol):
    name = 'plain'

    def __init__(self, player):
        self.player = player

    def connection_made(self, transport):
        self.player.transport = transport
        self.player.event(self, 'made')

    def data_received(self, data):
        self.player.got(self, data)

    def eof_received(self):
        return self.player.event(self, 'eof')

    def connection_lost(self, error):
        try:
            self.player.event(self, 'lost', ' ' + self.player.lost(error))
        finally:
            self.player.over = True

    def pause_writing(self):
        self.player.event(self, 'stall')

    def resume_writing(self):
        self.player.event(self, 'flow')


class Other(Plain):
    name = 'other'


class Buffered(asyncio.BufferedProtocol):
    name = 'buffered'
    size = 4

    __init__ = Plain.__init__
    connection_made = Plain.connection_made
    eof_received = Plain.eof_received
    connection_lost = Plain.connection_lost
    pause_writing = Plain.pause_writing
    resume_writing = Plain.resume_writing

    def get_buffer(self, hint):
        self.buffer = bytearray(self.size)
        self.player.handle('buffer')
        return self.buffer

    def buffer_updated(self, count):
        self.player.got(self, self.buffer[:count])


class Large(Buffered):
    name = 'large'
    size = 4096


class NoBuffer(Buffered):
    name = 'nobuffer'
    size = 0


PROTOCOLS = {kind.name: kind for kind in (Plain, Other, Buffered, Large, NoBuffer)}


def actions(text):
    return [action.strip() for action in text.split(';') if action.strip()]


def read_scenarios(path):
    scenarios = []
    with open(path, encoding='ascii') as lines:
        for line in lines:
            line = line.split('#')[0].strip()
            if not line:
                continue
            head, _, rest = line.partition(':')
            words = head.split()
            if words[0] == 'scenario':
                scenarios.append(Scenario(words[1]))
                scenarios[-1].only = words[2] if len(words) > 2 else 'both'
            elif words[0] == 'over':
                scenarios[-1].is_tcp = words[1] == 'tcp'
            elif words[0] == 'protocol':
                scenarios[-1].first = words[1]
            elif words[0] == 'on':
                scenarios[-1].handlers[' '.join(words[1:])] = actions(rest)
            elif words[0] == 'main':
                scenarios[-1].main += actions(rest)
            else:
                raise SystemExit(f'{path}: {line}')
    return scenarios


def play(scenario, family):
    """The line of one scenario."""
    loop = SelectorLoop() if family == 'selector' else ProactorLoop()
    player = Player(scenario, loop, family == 'proactor')
    player.play()
    loop.close()
    return ', '.join(player.lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('scenarios')
    parser.add_argument('--loop', choices=('selector', 'proactor'), default='selector')
    parser.add_argument('--name')
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for scenario in read_scenarios(options.scenarios):
        if scenario.only in ('both', options.loop) and options.name in (None, scenario.name):
            print(f'{scenario.name}: {play(scenario, options.loop)}')


if __name__ == '__main__':
    main()
