"""The hold model on SimPy: `hold.py PENDING WARM TIMED`.

Prints the hash after the warm-up, the hash after the timed events and the
nanoseconds of processor time that these took. What the model does is described
in hold.ts; every draw is made in its order. Timeouts with a callback: processes
take about twice as long. SimPy has no way to cancel a timeout; one without
callbacks does nothing when its turn comes. The cyclic garbage collector is off,
which is SimPy's best.
"""

import gc
import sys
import time

from simpy import Environment
from simpy.core import StopSimulation
from simpy.events import Timeout

WORD = 0xFFFFFFFF


def main(pending, warm, timed):
    gc.disable()
    env = Environment()
    state = 0x2545F491
    digest = 0
    sequence = 0
    left = 0
    size = 1
    while size * 8 <= pending:
        size *= 2
    timers = [None] * size

    def draw():
        nonlocal state
        x = state
        x ^= (x << 13) & WORD
        x ^= x >> 17
        x ^= (x << 5) & WORD
        state = x
        return x

    def delay():
        x = draw()
        zeros = 32 - x.bit_length()
        return ((zeros + 1 << 20) - ((x << zeros + 1 & WORD) >> 12))

    def fold(number):
        nonlocal digest, left
        x = (digest ^ env.now & WORD) * 0x9E3779B1 & WORD
        digest = ((x ^ x >> 15) + number) * 0x85EBCA6B & WORD
        left -= 1
        if left == 0:
            # The callback still has to finish: stop before the next event.
            stop.callbacks = [StopSimulation.callback]
            env.schedule(stop, priority=-1)

    def expire(event):
        fold(event._value)

    def hold(event):
        nonlocal sequence
        fold(event._value)
        Timeout(env, delay(), sequence).callbacks.append(hold)
        sequence += 1
        choice = draw()
        if choice & 3:
            return
        timer = choice >> 8 & size - 1
        armed = timers[timer]
        if armed is not None and armed.callbacks:
            armed.callbacks.clear()
        timers[timer] = armed = Timeout(env, delay(), sequence)
        armed.callbacks.append(expire)
        sequence += 1

    def serve(events):
        nonlocal left, stop
        left = events
        stop = env.event()
        stop._ok = True
        stop._value = None
        env.run()
        return digest

    stop = None
    for _ in range(pending):
        Timeout(env, delay(), sequence).callbacks.append(hold)
        sequence += 1
    before = serve(warm)
    start = time.process_time_ns()
    after = serve(timed)
    print(before, after, time.process_time_ns() - start)


main(*(int(word) for word in sys.argv[1:]))
