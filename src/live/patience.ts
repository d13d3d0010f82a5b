/**
 * When to ask the kernel from a pool thread.
 *
 * The kernel changes links, addresses and IPv4 routes of all namespaces under
 * one lock (rtnl_mutex). Whoever takes apart a namespace or a link holds it for
 * milliseconds, again and again, and the main thread must not wait for that. A
 * pool thread may, but the way there and back costs 50 µs. So it is used while
 * exchanges are under way in other threads, and for a moment after one took
 * long; otherwise the lock is as good as free.
 *
 * @module
 */

/** An exchange that takes longer has waited for others. */
const LONG_MS = 2
/** How long others are then expected to go on. */
const MOMENT_MS = 50

let underWay = 0
let busyUntilMs = 0

/** Whether somebody is known to hold the lock, or to be about to. */
export const isLockBusy = (): boolean => underWay > 0 || performance.now() < busyUntilMs

/** Runs an exchange that waits in a pool thread. */
export async function waitElsewhere<T>(exchange: () => Promise<T>): Promise<T> {
  const started = performance.now()
  underWay += 1
  try {
    return await exchange()
  } finally {
    underWay -= 1
    const now = performance.now()
    if (now - started > LONG_MS) busyUntilMs = now + MOMENT_MS
  }
}
