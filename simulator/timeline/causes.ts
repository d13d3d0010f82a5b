/**
 * What is down and why. A thing is down while at least one cause is: a node
 * without power stays so when its rack is joined again.
 *
 * @module
 */

export class Causes {
  private readonly counts = new Map<string, number>()

  /**
   * One cause more, or one less.
   *
   * @returns whether the thing went down, or came back, by it.
   */
  change(thing: string, down: boolean): boolean {
    const before = this.counts.get(thing) ?? 0
    const after = Math.max(0, before + (down ? 1 : -1))
    if (after === 0) this.counts.delete(thing)
    else this.counts.set(thing, after)
    return (before === 0) !== (after === 0)
  }

  isDown(thing: string): boolean {
    return this.counts.has(thing)
  }

  /** Whether anything is down. */
  get isAny(): boolean {
    return this.counts.size > 0
  }
}
