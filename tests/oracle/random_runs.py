# SPDX-License-Identifier: MIT
"""What the programs that make scenarios by chance share: their arguments, the chance, and the comparison.

Their arguments are PROGRAM BACKEND SEED COUNT. Each number from SEED on stands for one scenario. A file of scenarios is
played by asyncio, and by PROGRAM on BACKEND; their traces must be the same. The first ones that differ are printed, and the
status is 1; it is 77 where the backend cannot run.
"""
import logging
import pathlib
import random
import subprocess
import sys
import tempfile

BATCH = 100
SKIPPED = 77


class Maker:
    """Makes one scenario; all that it chooses comes from @seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one_of(self, choices):
        return self.random.choice(choices)

    def chance(self, probability):
        return self.random.random() < probability


class Runs:
    """@make(name, seed, backend) returns the text of a scenario; @play(path) returns asyncio's traces of a file, by the
    names of the scenarios; @plain(trace) takes from a trace of ours what asyncio has no word for."""

    def __init__(self, make, play, plain=str.strip):
        self.make = make
        self.play = play
        self.plain = plain

    def compare(self, program, backend, numbers):
        """Play these scenarios on both; returns how many differ, and the program's status."""
        texts = {f'random-{number}': self.make(f'random-{number}', number, backend) for number in numbers}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'scenarios.txt')
            path.write_text(''.join(texts.values()), encoding='ascii')
            result = subprocess.run([program, str(path), backend], capture_output=True, text=True, check=False)
            expected = self.play(path) if result.returncode != SKIPPED else {}
        if result.returncode != 0:
            print(result.stdout[-500:] + result.stderr[-2000:])
        lines = (line.partition(': ') for line in result.stdout.splitlines())
        found = {name: self.plain(trace) for name, _, trace in lines if name in texts}
        wrong = [name for name in expected if found.get(name) != expected[name]]
        for name in wrong[:3]:
            print(f'{texts[name]}\nasyncio: {expected[name]}\nRondo:   {found.get(name)}\n')
        return len(wrong), result.returncode

    def main(self):
        program, backend, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        logging.disable(logging.CRITICAL)
        same, status = 0, 0
        for first in range(seed, seed + count, BATCH):
            numbers = range(first, min(first + BATCH, seed + count))
            wrong, batch_status = self.compare(program, backend, numbers)
            if batch_status == SKIPPED:
                return SKIPPED
            same += len(numbers) - wrong
            status = status or batch_status
        print(f'{same} of {count} scenarios are the same, status {status}')
        return 1 if status or same < count else 0
