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
    high = 0x9E3779B9
    low = 0x85EBCA6B
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

    def trace(kind, event):
        nonlocal high, low, left
        now = env.now
        a, b = event._value
        x = (high ^ now & WORD) * 0x9E3779B1 & WORD
        y = (low ^ now >> 32 ^ now & WORD) * 0x5F356495 & WORD
        x ^= y >> 15
        y ^= x >> 13
        x, y = (x ^ kind) * 0x9E3779B1 & WORD, (y ^ kind) * 0x5F356495 & WORD
        x ^= y >> 15
        y ^= x >> 13
        x, y = (x ^ a) * 0x9E3779B1 & WORD, (y ^ a) * 0x5F356495 & WORD
        x ^= y >> 15
        y ^= x >> 13
        x, y = (x ^ b) * 0x9E3779B1 & WORD, (y ^ b) * 0x5F356495 & WORD
        high = x ^ y >> 15
        low = y ^ high >> 13
        left -= 1
        if left == 0:
            # The callback still has to finish: stop before the next event.
            stop.callbacks = [StopSimulation.callback]
            env.schedule(stop, priority=-1)

    def expire(event):
        trace(1, event)

    def hold(event):
        nonlocal sequence
        trace(4, event)
        Timeout(env, delay(), (event._value[0], sequence)).callbacks.append(hold)
        sequence += 1
        choice = draw()
        if choice & 3:
            return
        timer = choice >> 8 & size - 1
        armed = timers[timer]
        if armed is not None and armed.callbacks:
            armed.callbacks.clear()
        timers[timer] = armed = Timeout(env, delay(), (timer, sequence))
        armed.callbacks.append(expire)
        sequence += 1

    def serve(events):
        nonlocal left, stop
        left = events
        stop = env.event()
        stop._ok = True
        stop._value = None
        env.run()
        return f"{high:08x}{low:08x}"

    stop = None
    for entity in range(pending):
        Timeout(env, delay(), (entity, sequence)).callbacks.append(hold)
        sequence += 1
    before = serve(warm)
    start = time.process_time_ns()
    after = serve(timed)
    print(before, after, time.process_time_ns() - start)


main(*(int(word) for word in sys.argv[1:]))
