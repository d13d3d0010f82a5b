/**
 * What is said of a peer, each thing once: one that comes again and again fills no log.
 *
 * @module
 */

/** Different things that are said before it is quiet: some hold what the peer wrote. */
const NOTES_MAX = 16

export class Notes {
  /** Of attempts that failed, until one succeeds; of the peer's OPEN, ever. */
  readonly #failures = new Set<string>()
  readonly #remarks = new Set<string>()

  /** Whether this is news. */
  isNewFailure(text: string): boolean {
    return isNew(this.#failures, text)
  }

  isNewRemark(text: string): boolean {
    return isNew(this.#remarks, text)
  }

  forgetFailures(): void {
    this.#failures.clear()
  }
}

function isNew(said: Set<string>, text: string): boolean {
  if (said.has(text) || said.size >= NOTES_MAX) return false
  said.add(text)
  return true
}
