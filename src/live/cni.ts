/**
 * The CNI verbs carried out: the same code in the agent and in a process of
 * its own.
 *
 * Order is what makes a crash harmless. ADD records the attachment on disk
 * before anything leads to the pod; DEL removes the links before it forgets the
 * attachment. So at any moment every link that leads somewhere has a record, and
 * a DEL after any crash finds what to remove.
 *
 * @module
 */

import { askedVersion, CNI_VERSIONS, type CniRequest, cniError, parseRequest } from '../cni/mod.ts'
import { assertNever } from '../errors.ts'
import type { CniAnswer } from './agent-socket.ts'
import { add, addIpam } from './verbs/add.ts'
import { check } from './verbs/check.ts'
import { del } from './verbs/del.ts'
import { collect } from './verbs/gc.ts'
import { type CniCallInput, type CniHost, keyOf } from './verbs/host.ts'
import { status } from './verbs/status.ts'

export type { CniCallInput, CniHost } from './verbs/host.ts'

/**
 * Answers one call. Never throws: every failure is an error object on stdout
 * and exit status 1.
 *
 * @param hostFor Finds the host; called only for verbs that need one.
 */
export async function serveCni(
  input: CniCallInput,
  hostFor: (request: CniRequest) => CniHost,
): Promise<CniAnswer> {
  const { steps } = input
  try {
    const request = parseRequest(input)
    steps.mark('parse')
    if (request.verb === 'VERSION') {
      const { cniVersion } = request
      return answer({ cniVersion, supportedVersions: CNI_VERSIONS })
    }
    steps.request = request
    return answer(await perform(request, input, hostFor(request)))
  } catch (thrown) {
    const error = cniError(thrown, askedVersion(input.config))
    steps.error = error
    const line = `trivium: ${input.env['CNI_COMMAND'] ?? ''} failed: ${error.msg}\n`
    return { exitStatus: 1, stdout: `${JSON.stringify(error)}\n`, stderr: line }
  } finally {
    steps.mark('answer')
  }
}

function answer(result: unknown): CniAnswer {
  const stdout = result === undefined ? '' : `${JSON.stringify(result)}\n`
  return { exitStatus: 0, stdout, stderr: '' }
}

/** Whatever acts on one attachment holds its lock from the first look to the last change. */
function perform(request: CniRequest, input: CniCallInput, host: CniHost): Promise<unknown> {
  if (request.verb === 'STATUS' || request.verb === 'GC') return carryOut(request, input, host)
  return host.locks.hold(keyOf(request), () => carryOut(request, input, host))
}

function carryOut(request: CniRequest, input: CniCallInput, host: CniHost): Promise<unknown> {
  switch (request.verb) {
    case 'ADD':
      return request.plugin === 'trivium'
        ? add(request, input, host)
        : addIpam(request, input, host)
    case 'DEL':
      return del(keyOf(request), request.plugin === 'trivium', host, input.steps, request.netns)
    case 'CHECK':
      return check(request, input, host)
    case 'STATUS':
      return status(request, host, input.steps)
    case 'GC':
      return collect(request, input, host)
    default:
      return assertNever(request.verb)
  }
}
