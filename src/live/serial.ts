/**
 * Work in order for one name, side by side for different names.
 *
 * @module
 */

/** Runs `work` after everything queued earlier under the same name, failed or not. */
export type Serial = <T>(name: string, work: () => Promise<T>) => Promise<T>

export function serial(): Serial {
  const tails = new Map<string, Promise<unknown>>()
  return (name, work) => {
    const before = tails.get(name) ?? Promise.resolve()
    const result = before.then(work, work)
    tails.set(name, result)
    const forget = (): void => {
      if (tails.get(name) === result) tails.delete(name)
    }
    result.then(forget, forget)
    return result
  }
}
