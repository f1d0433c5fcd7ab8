#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes scenarios by chance, in the language of core_scenarios.txt, plays them on asyncio and on Rondo and compares.

usage: core_random.py CORE_TRACE BACKEND SEED COUNT

Bodies, tasks, gathers and shields are numbered, and each only starts and waits for higher numbers: nothing goes
on for ever and nothing waits in a circle. A scenario that differs is printed with both traces.
"""
import sys
import warnings

import core_trace
import random_runs

BODIES = 8
FUTURES = ["f1", "f2", "f3"]
HANDLES = ["h1", "h2", "h3"]


class Maker(random_runs.Maker):
    def __init__(self, seed):
        super().__init__(seed)
        self.words = 0
        self.made = set(FUTURES)
        # asyncio does not take back the stop of run_until_complete where another stop, or an interrupt, came first in
        # that pass: the next run ends early. Rondo's does not, so a scenario has the one or the other.
        self.may_stop = self.random.random() < 0.3
        self.is_coroutine = [self.random.random() < 0.6 for _ in range(BODIES + 1)]

    def word(self):
        self.words += 1
        return f"w{self.words}"

    def body(self, above, coroutine):
        names = [i for i in range(above + 1, BODIES + 1) if self.is_coroutine[i] == coroutine]
        return self.random.choice(names) if names else None

    def ticks(self):
        return self.random.choice([-1, 0, 0, 1, 1, 2, 3])

    def thing(self, rank):
        """Something with an outcome that rank @rank may wait for."""
        names = list(FUTURES)
        for i in range(rank + 1, BODIES + 1):
            names += [f"g{i}", f"s{i}"]
            if self.is_coroutine[i]:
                names += [f"t{i}"] * 3
        if self.chance(0.95):
            names = [name for name in names if name in self.made]
        return self.random.choice(names)

    def note(self, line):
        self.made.add(line.split()[1])
        return line

    def make(self, rank):
        """Make one thing."""
        kind = self.random.choice(["task"] * 4 + ["gather", "gatherx", "shield", "fut"])
        if kind == "task":
            body = self.body(rank, True)
            return self.note(f"task t{body} B{body}") if body else None
        if kind == "fut":
            return f"fut {self.random.choice(FUTURES)}"
        number = self.random.randint(rank + 1, BODIES) if rank < BODIES else BODIES
        if kind == "shield":
            return self.note(f"shield s{number} {self.thing(number)}")
        members = " ".join(self.thing(number) for _ in range(self.random.randint(1, 3)))
        return self.note(f"{kind} g{number} {members}")

    def act(self, rank):
        pick = self.random.random()
        callback = self.body(rank, False)
        if pick < 0.22 or not callback and pick < 0.5:
            return f"say {self.word()}"
        if pick < 0.32:
            return f"{self.random.choice(['soon', 'soon', 'safe', 'thread'])} B{callback}" + self.handle()
        if pick < 0.40:
            return f"later {self.ticks()} B{callback}" + self.handle()
        if pick < 0.50:
            return f"{self.random.choice(['on', 'on', 'off'])} {self.thing(0)} B{callback}"
        if pick < 0.54:
            return f"drop {self.random.choice(HANDLES)}"
        if pick < 0.66:
            return f"kill {self.thing(0)}"
        if pick < 0.76:
            return f"set {self.random.choice(FUTURES)} {self.random.randint(1, 9)}"
        if pick < 0.80:
            return f"fail {self.random.choice(FUTURES)} E{self.random.randint(1, 9)}"
        if pick < 0.86:
            return f"show {self.thing(0)}"
        if pick < 0.88:
            return "time"
        return self.make(rank) or f"say {self.word()}"

    def handle(self):
        return f" {self.random.choice(HANDLES)}" if self.chance(0.4) else ""

    def wait(self, rank):
        pick = self.random.random()
        inner = self.body(rank, True)
        if pick < 0.35:
            text = f"await {self.thing(rank)}"
        elif pick < 0.47:
            text = f"sleep {self.ticks()}"
        elif pick < 0.57:
            text = "yield"
        elif pick < 0.72:
            text = f"waitfor {self.thing(rank)} {self.random.choice(['-', self.ticks(), self.ticks()])}"
        elif pick < 0.82:
            members = " ".join(self.thing(rank) for _ in range(self.random.randint(1, 3)))
            limit = self.random.choice(["-", self.random.randint(1, 3)])
            text = f"wait {limit} {self.random.choice(['all', 'first', 'failed'])} {members}"
        elif not inner:
            text = "yield"
        elif pick < 0.88:
            text = f"timeout {self.ticks()} B{inner}"
        elif pick < 0.93:
            text = f"call B{inner}"
        else:
            text = f"guard B{inner} B{self.body(rank, True)}"
        return self.random.choice(["", "", "try ", "try ", "tryerr "]) + text

    def ending(self, coroutine):
        if self.chance(0.1):
            return [f"raise E{self.random.randint(1, 9)}"]
        if self.may_stop and self.chance(0.02):
            return ["interrupt"]
        if coroutine and self.chance(0.5):
            return [f"return {self.random.randint(1, 9)}"]
        return []

    def text(self, rank):
        coroutine = self.is_coroutine[rank]
        lines = [f"say b{rank}"]
        for _ in range(self.random.randint(1, 5)):
            if coroutine and self.chance(0.5):
                lines += [self.wait(rank), f"say {self.word()}"]
            else:
                lines.append(self.act(rank))
        if coroutine and self.chance(0.2):
            lines += [f"cancelling t{rank}"]
        if self.may_stop and self.chance(0.1):
            lines.append("stop")
        return lines + self.ending(coroutine)

    def main(self):
        lines = [f"fut {name}" for name in FUTURES]
        ranks = self.random.sample(range(1, BODIES + 1), BODIES // 2)
        for rank in sorted(ranks, reverse=True):
            if self.is_coroutine[rank]:
                lines.append(self.note(f"task t{rank} B{rank}"))
            shape = self.random.choice(["shield s{0} {1}", "gather g{0} {1} f1", "gatherx g{0} {1} {2}"])
            lines.append(self.note(shape.format(rank, self.thing(rank), self.thing(rank))))
        for _ in range(self.random.randint(3, 8)):
            lines += [self.act(0) for _ in range(self.random.randint(1, 3))]
            pick = self.random.random()
            if pick < 0.6:
                lines.append("pass")
            elif pick < 0.8 or self.may_stop:
                lines.append(f"runs {self.random.randint(1, 4)}")
            else:
                lines += ["later 5 STOP", f"until {self.thing(0)}"]
        lines += ["runs 12"] + [f"show {name}" for name in FUTURES]
        for i in range(1, BODIES + 1):
            lines += [f"show g{i}", f"show s{i}"]
            if self.is_coroutine[i]:
                lines.append(f"show t{i}")
        return lines

    def scenario(self, name):
        bodies = {"main": self.main(), "STOP": ["say stop", "stop"]}
        for rank in range(1, BODIES + 1):
            bodies[f"B{rank}"] = self.text(rank)
        return f"== {name}\n" + "".join(f"{body}: {'; '.join(lines)}\n" for body, lines in bodies.items())


def play(path):
    return {name: core_trace.Player(bodies).play() for name, bodies in core_trace.read_scenarios(path).items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda unraisable: None
    sys.exit(random_runs.Runs(lambda name, seed, backend: Maker(seed).scenario(name), play).main())
