#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes scenarios of one datagram endpoint by chance, plays them on asyncio's selector loop and on Rondo, and compares.

usage: dgram_random.py DGRAM_PLAY BACKEND SEED COUNT

A scenario is a line: NAME bound|connected; EVENT N: ACTION ACTION; ...; main: ACTION ...
The endpoint is connected to the first of two plain sockets, or to none. EVENT is made, got, error or lost; its actions
happen at the Nth time, or each time for 0. Actions:
  send=TEXT, send=large, send=self   the endpoint sends to the first peer; what is too large; to itself, if it is bound
  from=NTEXT                         the peer with this number sends to it
  gone                               the first peer closes: what is sent to it is refused from then on
  pause resume close abort state     the transport's calls; its state is printed
  queue=ACTION+ACTION                a call_soon that does this
  Timer                              a call_later without delay
  turns=N                            turns of the loop (main only)

A proactor sends later, so nothing is sent there. Sends of a closing endpoint are left out, as asyncio has no rule for
them. A scenario that differs is printed with both traces.
"""
import asyncio
import collections
import socket
import sys

import random_runs

LOCAL = '127.0.0.1'


class Maker(random_runs.Maker):
    def __init__(self, seed, may_send):
        super().__init__(seed)
        self.may_send = may_send

    def action(self, kinds):
        kind = self.one_of(kinds)
        if kind == 'send' and not self.may_send:
            return 'state'
        if kind == 'send':
            return 'send=' + self.one_of(('one', 'two', 'large', 'self'))
        if kind == 'from':
            return f'from={self.random.randrange(2)}.{self.random.randrange(100)}'
        if kind in ('close', 'abort', 'gone') and self.chance(0.6):
            return 'state'
        if kind == 'queue':
            inner = [self.action(('send', 'from', 'pause', 'resume', 'close', 'state')) for _ in range(2)]
            return 'queue=' + '+'.join(inner)
        if kind == 'turns':
            return f'turns={self.random.randrange(1, 4)}'
        return kind

    def actions(self, count, *more):
        kinds = ('send', 'from', 'from', 'pause', 'resume', 'resume', 'close', 'abort', 'state', 'queue', 'queue', 'Timer')
        return [self.action(kinds + more) for _ in range(count)]

    def handler(self, event):
        number = self.random.randrange(0 if event == 'got' else 1, 4)
        actions = self.actions(self.random.randrange(1, 4))
        if number == 0:  # what sends each time might go on for ever
            actions = [action for action in actions if not action.startswith(('send', 'from', 'queue'))] or ['state']
        return f'{event} {number}: ' + ' '.join(actions)

    def main(self):
        actions = []
        for _ in range(self.random.randrange(3, 14)):
            actions += self.actions(1, 'from', 'turns', 'turns', 'gone', 'send')
            if self.chance(0.25):
                actions += [f'from={self.random.randrange(2)}.{i}' for i in range(self.random.randrange(2, 7))]
        return 'main: ' + ' '.join(actions + ['turns=40'])

    def scenario(self, name):
        parts = [f'{name} ' + self.one_of(('bound', 'bound', 'connected'))]
        parts += [self.handler(event) for event in ('made', 'got', 'error', 'lost') if self.chance(0.5)]
        return '; '.join(parts + [self.main()]) + '\n'


# --- asyncio ---------------------------------------------------------------------------------------------------


class Player(asyncio.DatagramProtocol):
    def __init__(self, line):
        self.line = line
        self.words = []
        self.seen = collections.Counter()
        self.handlers = {}
        self.transport = None
        self.peers = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        for peer in self.peers:
            peer.bind((LOCAL, 0))
        self.targets = [peer.getsockname() for peer in self.peers]

    def handle(self, event):
        self.seen[event] += 1
        number, actions = self.handlers.get(event, (None, ()))
        if number in (0, self.seen[event]):
            self.act_all(actions)

    def connection_made(self, transport):
        self.transport = transport
        self.words.append('a.made')
        self.handle('made')

    def datagram_received(self, data, addr):
        self.words.append('a.got:' + data.decode())
        self.handle('got')

    def error_received(self, error):
        self.words.append('a.error')
        self.handle('error')

    def connection_lost(self, error):
        self.words.append('a.lost')
        self.handle('lost')

    def act_all(self, actions):
        for action in actions:
            self.act(action)

    def call(self, actions):
        self.words.append('call')
        self.act_all(actions.split('+'))

    def send(self, what):
        if not self.transport or self.transport.is_closing():
            self.words.append('no')
            return
        target = self.transport.get_extra_info('sockname') if what == 'self' else self.targets[0]
        data = bytes(70000) if what == 'large' else what.encode()
        self.transport.sendto(data, None if self.is_connected else target)

    def send_from_peer(self, text):
        peer = self.peers[int(text[0])]
        if self.transport and peer.fileno() >= 0:
            peer.sendto(text.encode(), self.transport.get_extra_info('sockname'))
        else:
            self.words.append('no')

    def act(self, action):
        kind, _, value = action.partition('=')
        loop = asyncio.get_running_loop()
        if kind == 'send':
            self.send(value)
        elif kind == 'from':
            self.send_from_peer(value)
        elif kind == 'gone':
            self.peers[0].close()
        elif kind == 'queue':
            loop.call_soon(self.call, value)
        elif kind == 'Timer':
            loop.call_later(0, self.words.append, 'timer')
        elif kind == 'state' and self.transport:
            self.words.append(f'state:{self.transport.is_closing():d}{self.transport.is_reading():d}')
        elif self.transport:
            {'pause': self.transport.pause_reading, 'resume': self.transport.resume_reading,
             'close': self.transport.close, 'abort': self.transport.abort}[kind]()

    async def turns(self, count):
        for _ in range(count):
            await asyncio.sleep(0)
        self.words.append('|')

    async def play(self):
        head, *parts = self.line.split('; ')
        self.is_connected = head.endswith('connected')
        for part in parts:
            event, _, actions = part.partition(': ')
            name, _, number = event.partition(' ')
            self.handlers[name] = (int(number or -1), actions.split())
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(LOCAL, 0), remote_addr=self.targets[0] if self.is_connected else None)
        self.words.append('returned')
        for action in self.handlers['main'][1]:
            if action.startswith('turns='):
                await self.turns(int(action[6:]))
            else:
                self.act(action)
        self.transport.abort()
        await self.turns(4)
        for peer in self.peers:
            peer.close()
        return ' '.join(self.words)


# --- both ------------------------------------------------------------------------------------------------------


def plain(trace):
    """Of errors only that they came."""
    words = (word.partition(':')[0] if word.startswith(('a.error', 'a.lost')) else word for word in trace.split())
    return ' '.join(words)


def play(path):
    lines = path.read_text(encoding='ascii').splitlines()
    return {line.split()[0]: asyncio.run(Player(line).play()) for line in lines}


def make(name, seed, backend):
    return Maker(seed, backend != 'io_uring').scenario(name)


if __name__ == '__main__':
    sys.exit(random_runs.Runs(make, play, plain).main())
