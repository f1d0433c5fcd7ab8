#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes scenarios by chance, in the language of net_scenarios.txt, plays them on asyncio's selector loop and on
Rondo, and compares.

usage: net_random.py NET_TRACE BACKEND SEED COUNT

For selectors: what a proactor may do in one pass or in two is open, so that only made scenarios are compared
there. Writes between close and the end of the flush are left out (they are outside the contract), and so is
whatever a peer would do after it has closed. A scenario that differs is printed with both traces.
"""
import sys

import net_trace
import random_runs

SIZES = (0, 1, 5, 1000, 70000, 300000)
MARKS = ('- -', '0 0', '10 5', '100000 50000', '300000 0', '5 10', '1000000 1000000')
EVENTS = ('made', 'data', 'data 1', 'data 2', 'eof', 'stall', 'flow', 'flow 1', 'lost')


class Maker(random_runs.Maker):
    def __init__(self, seed):
        super().__init__(seed)
        self.can_write = True

    def action(self, event):
        kinds = ['state', 'size', 'pause', 'resume', 'limits', 'soon', 'soon', 'soon', 'proto', 'marks']
        if event not in ('lost', 'flow'):  # a write in each resume_writing would go on for ever
            kinds += ['write', 'write', 'writelines', 'write', 'weof'] if self.can_write else ['close', 'abort']
        if event == 'call':  # asyncio forgets what it found before, and finds it again a turn later
            kinds.remove('resume')
        if event == 'flow':  # and so would a call that writes
            kinds = [kind for kind in kinds if kind != 'soon']
        kind = self.one_of(kinds)
        if kind == 'write':
            return f'write {self.one_of(SIZES)}'
        if kind == 'writelines':
            return 'writelines ' + ' '.join(str(self.one_of(SIZES)) for _ in range(self.random.randrange(4)))
        if kind == 'limits':
            return f'limits {self.one_of(MARKS)}'
        if kind == 'soon':
            name = self.one_of('ABCD')
            return f'soon {name}'
        if kind == 'proto':
            return 'state' if event in ('lost', 'main') else 'proto ' + self.one_of(('plain', 'other', 'large'))
        return kind

    def handler(self, event):
        actions = [self.action(event) for _ in range(self.random.randrange(1, 4))]
        if event == 'eof' and self.chance(0.5):
            actions.append('keep')
        elif event != 'made' and self.chance(0.05):
            actions.append('raise')
        return '; '.join(actions)

    def main(self):
        actions = []
        is_shut = False
        for _ in range(self.random.randrange(3, 14)):
            choice = self.random.random()
            if choice < 0.25:
                actions.append(f'psend {self.one_of((1, 5, 100, 3000))}')
                if is_shut:
                    actions.pop()
            elif choice < 0.5:
                actions.append(f'pass {self.random.randrange(1, 4)}')
            elif choice < 0.6:
                actions.append('drain')
            elif choice < 0.65 and not is_shut:
                actions.append('pshut')
                is_shut = True
            else:
                actions.append(self.action('main'))
        actions.append('pass 3')
        if self.chance(0.3):
            actions.append('pclose; pass 4; state; size')
        else:
            actions.append('drain; state; size')
        return '; '.join(actions)

    def scenario(self, name):
        # A scenario writes, or closes: both would write while closing.
        self.can_write = self.chance(0.6)
        lines = [f'scenario {name}', 'protocol ' + self.one_of(('plain', 'plain', 'large', 'buffered'))]
        for event in EVENTS:
            if self.chance(0.4):
                lines.append(f'on {event}: {self.handler(event)}')
        for name in 'ABCD':
            if self.chance(0.3):
                text = '; '.join(action for action in (self.action('call') for _ in range(2))
                                 if not action.startswith('soon'))
                if text:
                    lines.append(f'on call {name}: {text}')
        lines += [f'main: {self.main()}']
        return '\n'.join(lines) + '\n'


def play(path):
    return {scenario.name: net_trace.play(scenario, 'selector') for scenario in net_trace.read_scenarios(path)}


if __name__ == '__main__':
    sys.exit(random_runs.Runs(lambda name, seed, backend: Maker(seed).scenario(name), play).main())
