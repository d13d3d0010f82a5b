/**
 * Pairs whose records are still on their way to the disk.
 *
 * Whoever compares kernel and store would take such a link for one that a crash
 * left. So it looks past them, by what is known once it has seen the kernel: a
 * link that is gone from here by then has a record that is read afterwards, or
 * was removed again.
 *
 * @module
 */
import type { KernelState } from '../kernel/mod.ts'
import type { Observed } from '../ports.ts'
import { linkOf } from './held-events.ts'

export interface UnrecordedLinks {
  /** From before the link is made until the returned function is called: its record is written, or it is gone. */
  add(link: string): () => void
  /** The state without them and what hangs on them. Ask when the kernel is seen, before the store is. */
  past(state: KernelState): KernelState
  /** The same for a whole observation. */
  pastIn(observed: Observed): Observed
}

export function unrecordedLinks(): UnrecordedLinks {
  const links = new Set<string>()
  const isAbout = (name: string | undefined): boolean => name !== undefined && links.has(name)

  function past(state: KernelState): KernelState {
    if (links.size === 0) return state
    return new Map([...state].filter(([, object]) => !isAbout(linkOf(object))))
  }

  return {
    add(link) {
      links.add(link)
      return () => {
        links.delete(link)
      }
    },
    past,
    pastIn: (observed) =>
      observed.kind === 'state' ? { ...observed, state: past(observed.state) } : observed,
  }
}
