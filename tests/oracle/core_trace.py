#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the scenarios of core_scenarios.txt on Python's asyncio and prints what happened, one line
for each: `name: words`. core_trace.c does the same on Rondo; the two outputs must be the same.

usage: core_trace.py FILE [SCENARIO]

The language is described at the top of core_scenarios.txt. Time is virtual: it stands still while anything
is queued and goes on by one tick each time the loop would sleep.
"""
import asyncio
import gc
import logging
import selectors
import sys
import threading
import warnings

TICK = 1000  # nanoseconds, as in tests/support


class Deadlock(Exception):
    """The scenario would wait for ever: it must be mended."""


class Failure(Exception):
    """A scenario's own error: E1, E2 ..."""


class TickingSelector(selectors.DefaultSelector):
    """Never sleeps; a wait that would have is a tick of the loop's clock."""

    loop = None

    def select(self, timeout=None):
        if timeout is None:
            raise Deadlock("nothing is queued, no timer is set")
        if timeout > 0:
            self.loop.now += TICK
        return super().select(0)


class TickingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        selector = TickingSelector()
        selector.loop = self
        self.now = 1000 * TICK
        super().__init__(selector)
        self._clock_resolution = 0.5

    def time(self):
        return float(self.now)


def name_of(error):
    if isinstance(error, Failure):
        return str(error)
    for kind, name in ((asyncio.CancelledError, "cancelled"), (asyncio.TimeoutError, "timeout"),
                       (asyncio.InvalidStateError, "invalid"), (KeyboardInterrupt, "interrupt"),
                       (ValueError, "value"), (RuntimeError, "runtime"), (TypeError, "type")):
        if isinstance(error, kind):
            return name
    raise error


def text_of(value):
    if isinstance(value, list):
        return "[" + ",".join(text_of(item) for item in value) + "]"
    if isinstance(value, BaseException):
        return name_of(value)
    return "0" if value is None else str(value)


class Returned(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


class Missing(Exception):
    pass


class Player:
    def __init__(self, bodies):
        self.bodies = bodies
        self.words = []
        self.names = {}
        self.timers = 0
        self.callbacks = {}
        self.handler, self.tells_unseen = None, False
        self.loop = TickingLoop()
        self.start = self.loop.now
        self.loop.set_exception_handler(self.report)

    def say(self, word):
        self.words.append(word)

    def report(self, loop, context):
        if "destroyed" in context["message"]:
            return
        if "never retrieved" in context["message"]:
            if self.tells_unseen:
                self.say(f"unseen:{name_of(context['exception'])}")
            return
        self.say(f"!{name_of(context['exception'])}")
        if self.handler:
            self.run_body(self.handler)

    def play(self):
        try:
            self.run_body("main")
            return " ".join(self.words)
        finally:
            self.loop.set_exception_handler(lambda loop, context: None)
            self.tells_unseen = False
            for task in asyncio.all_tasks(self.loop):
                task._log_destroy_pending = False
            self.names.clear()
            if not self.loop.is_running():
                self.loop.close()
            gc.collect()

    def find(self, name):
        if name not in self.names:
            self.say("?" + name)
            raise Missing
        return self.names[name]

    def delay(self, ticks):
        """No two deadlines are the same: their order would not be defined."""
        self.timers += 1
        return int(ticks) * TICK - TICK // 2 + self.timers

    def callback(self, name):
        """The same object for the same body, so that it can be removed."""
        if name not in self.callbacks:
            self.callbacks[name] = lambda *_: self.run_body(name)
        return self.callbacks[name]

    # --- bodies ---------------------------------------------------------------------------------

    def run_body(self, name):
        for words in self.bodies[name]:
            try:
                self.act(words[0], words[1:])
            except Missing:
                pass
            except Returned:
                return

    async def run_coroutine(self, name):
        for words in self.bodies[name]:
            try:
                await self.step(words)
            except Missing:
                pass
            except Returned as returned:
                return returned.value
        return 0

    async def step(self, words):
        verb, *arguments = words
        if verb in ("try", "tryerr"):
            try:
                await self.step(arguments)
            except (Missing, Returned, Deadlock):
                raise
            except Exception as error:
                self.say("caught:" + name_of(error))
            except asyncio.CancelledError as error:
                if verb == "tryerr":
                    raise
                self.say("caught:" + name_of(error))
            return
        wait = getattr(self, "wait_" + verb, None)
        if wait:
            await wait(*arguments)
        else:
            self.act(verb, arguments)

    async def wait_await(self, name):
        self.say(f"{name}={text_of(await self.find(name))}")

    async def wait_sleep(self, ticks):
        await asyncio.sleep(self.delay(ticks) if int(ticks) > 0 else int(ticks))

    async def wait_yield(self):
        await asyncio.sleep(0)

    async def wait_waitfor(self, name, ticks):
        future = self.find(name)
        limit = None if ticks == "-" else self.delay(ticks) if int(ticks) > 0 else int(ticks)
        self.say(f"{name}={text_of(await asyncio.wait_for(future, limit))}")

    async def wait_wait(self, ticks, until, *names):
        futures = [self.find(name) for name in names]
        limit = None if ticks == "-" else self.delay(ticks)
        kind = {"all": asyncio.ALL_COMPLETED, "first": asyncio.FIRST_COMPLETED,
                "failed": asyncio.FIRST_EXCEPTION}[until]
        await asyncio.wait(futures, timeout=limit, return_when=kind)
        self.say("done:" + "".join(str(int(future.done())) for future in futures))

    async def wait_timeout(self, ticks, body):
        async with asyncio.timeout(self.delay(ticks) if int(ticks) > 0 else int(ticks)):
            await self.run_coroutine(body)

    async def wait_call(self, body):
        self.say(f"{body}={text_of(await self.run_coroutine(body))}")

    async def wait_guard(self, body, clean_up):
        try:
            await self.run_coroutine(body)
        finally:
            await self.run_coroutine(clean_up)

    # --- what may be done anywhere ----------------------------------------------------------------

    def act(self, verb, arguments):
        method = getattr(self, "do_" + verb, None)
        if not method:
            raise SystemExit(f"no such verb here: {verb}")
        method(*arguments)

    def attempt(self, what, function, *arguments):
        """A call that may be refused."""
        try:
            return function(*arguments)
        except Deadlock:
            raise
        except (Exception, KeyboardInterrupt) as error:
            self.say(f"{what}:{name_of(error)}")
            return None

    def keep(self, name, thing):
        if name and thing is not None:
            self.names[name] = thing

    def do_say(self, word):
        self.say(word)

    def do_soon(self, body, handle=None):
        self.keep(handle, self.attempt("soon", self.loop.call_soon, self.callback(body)))

    def do_safe(self, body, handle=None):
        self.keep(handle, self.attempt("safe", self.loop.call_soon_threadsafe, self.callback(body)))

    def do_thread(self, body, handle=None):
        """call_soon_threadsafe by another thread, which has ended when this returns."""
        def call():
            self.keep(handle, self.attempt("thread", self.loop.call_soon_threadsafe, self.callback(body)))
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    def do_later(self, ticks, body, handle=None):
        self.keep(handle, self.attempt("later", self.loop.call_later, self.delay(ticks), self.callback(body)))

    def do_at(self, ticks, body, handle=None):
        when = self.start + self.delay(ticks)
        self.keep(handle, self.attempt("at", self.loop.call_at, when, self.callback(body)))

    def do_drop(self, handle):
        self.find(handle).cancel()

    def do_dropped(self, handle):
        self.say(f"dropped:{int(self.find(handle).cancelled())}")

    def do_handler(self, body):
        """What the exception handler does, too."""
        self.handler = body

    def do_forget(self, name):
        """Nobody but what uses it holds it any more: an error that was not seen is reported, from now on all are."""
        self.tells_unseen = True
        self.find(name)
        del self.names[name]
        gc.collect()

    def do_fut(self, name):
        self.keep(name, self.loop.create_future())

    def do_set(self, name, value):
        self.attempt("set", self.find(name).set_result, int(value))

    def do_fail(self, name, error):
        self.attempt("fail", self.find(name).set_exception, Failure(error))

    def do_kill(self, name):
        accepted = self.attempt("kill", self.find(name).cancel)
        if accepted is not None:
            self.say(f"kill:{name}={int(accepted)}")

    def do_task(self, name, body):
        coroutine = self.run_coroutine(body)
        task = self.attempt("task", self.loop.create_task, coroutine)
        if task is None:
            coroutine.close()
        self.keep(name, task)

    def do_on(self, name, body):
        self.find(name).add_done_callback(self.callback(body))

    def do_off(self, name, body):
        self.say(f"off:{self.find(name).remove_done_callback(self.callback(body))}")

    def do_gather(self, name, *members, keep_errors=False):
        futures = [self.find(member) for member in members]
        if not futures:  # asyncio would ask for the current loop
            future = self.loop.create_future()
            future.set_result([])
        else:
            future = asyncio.gather(*futures, return_exceptions=keep_errors)
        self.keep(name, future)

    def do_gatherx(self, name, *members):
        self.do_gather(name, *members, keep_errors=True)

    def do_shield(self, name, inner):
        self.keep(name, asyncio.shield(self.find(inner)))

    def do_show(self, name):
        future = self.find(name)
        if not future.done():
            text = "pending"
        elif future.cancelled():
            text = "cancelled"
        else:
            text = text_of(future.exception() or future.result())
        self.say(f"{name}:{text}")

    def do_cancelling(self, name):
        self.say(f"cancelling:{self.find(name).cancelling()}")

    def do_uncancel(self, name):
        self.say(f"uncancel:{self.find(name).uncancel()}")

    def do_time(self):
        self.say(f"@{(self.loop.now - self.start) // TICK}")

    def do_running(self):
        self.say(f"running:{int(self.loop.is_running())}")

    def do_current(self):
        try:
            task = asyncio.current_task(self.loop)
        except RuntimeError:
            task = None
        names = [name for name, thing in self.names.items() if thing is task]
        self.say(f"current:{names[0] if task and names else '-'}")

    def do_stop(self):
        self.loop.stop()

    def do_close(self):
        self.attempt("close", self.loop.close)

    def do_raise(self, error):
        raise Failure(error)

    def do_interrupt(self):
        raise KeyboardInterrupt

    def do_return(self, value="0"):
        raise Returned(int(value))

    # --- running ------------------------------------------------------------------------------------

    def do_run(self):
        self.attempt("run", self.loop.run_forever)
        self.say("|")

    def do_runs(self, ticks):
        self.attempt("later", self.loop.call_later, self.delay(ticks), self.loop.stop)
        self.do_run()

    def do_pass(self, count="1"):
        for _ in range(int(count)):
            self.loop.stop()
            self.do_run()

    def do_until(self, name):
        future = self.find(name)
        try:
            self.say(f"until:{text_of(self.loop.run_until_complete(future))}")
        except Deadlock:
            raise
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as error:
            self.say(f"until:{name_of(error)}")


def read_scenarios(path):
    scenarios = {}
    bodies = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.split("#")[0].strip()
            if line.startswith("=="):
                name = line[2:].strip()
                if name in scenarios:
                    raise SystemExit(f"{name} is there twice")
                bodies = scenarios[name] = {}
            elif line:
                body, _, text = line.partition(":")
                bodies[body.strip()] = [part.split() for part in text.split(";") if part.strip()]
    return scenarios


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda unraisable: None  # coroutines that are thrown away at the end
    only = sys.argv[2] if len(sys.argv) > 2 else None
    for name, bodies in read_scenarios(sys.argv[1]).items():
        if only and name != only:
            continue
        try:
            line = Player(bodies).play()
        except Deadlock as error:
            raise SystemExit(f"{name}: {error}")
        except Exception as error:
            raise SystemExit(f"{name}: {type(error).__name__} {error}")
        print(f"{name}: {line}")


if __name__ == "__main__":
    main()
