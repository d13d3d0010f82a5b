/**
 * A delegate of our own between a plugin and its IPAM plugin: it writes down
 * what it is asked, fails where told to, and passes everything else on.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../lab/json.ts'
import type { Facts } from '../model.ts'
import { type CallOptions, OWN_BIN, type World } from '../world.ts'

const NAME = 'conformance-ipam'
const LOG = '/run/conformance/delegate.log'

export const hasDelegate = ({ delegate }: Facts): string | undefined =>
  delegate === undefined ? 'it has no IPAM plugin' : undefined

export interface DelegateOptions {
  /** The verb that it refuses. */
  readonly failing?: string
  /** ADD gives no address. */
  readonly empty?: boolean
}

/** What the refusing delegate says. */
export const DELEGATE_SAYS = 'the delegate refuses on purpose'

const script = (
  real: string,
  { failing = '', empty = false }: DelegateOptions,
): string => `#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && exec ${real}
echo "$CNI_COMMAND $CNI_CONTAINERID" >>${LOG}
if [ "$CNI_COMMAND" = "${failing}" ]; then
  cat >/dev/null
  echo '{"cniVersion":"1.0.0","code":50,"msg":"${DELEGATE_SAYS}"}'
  exit 1
fi
if [ "$CNI_COMMAND" = ADD ] && [ "${empty}" = true ]; then
  sed -n 's/.*"cniVersion" *: *"\\([0-9.]*\\)".*/{"cniVersion":"\\1","ips":[],"dns":{}}/p'
  exit 0
fi
exec ${real}
`

/** Puts it in place; the options make a call use it. */
export async function withDelegate(world: World, options: DelegateOptions): Promise<CallOptions> {
  const { facts, settings, lane } = world
  const { binDirs } = settings
  const type = facts.delegate ?? ''
  const dir = binDirs.find((each) => existsSync(join(each, type))) ?? binDirs[0] ?? ''
  const text = script(join(dir, type), options)
  const path = `${OWN_BIN}/${NAME}`
  await lane.run(['sh', '-c', `rm -f ${LOG} && cat >${path} && chmod 755 ${path}`], { input: text })
  return {
    env: { CNI_PATH: [OWN_BIN, ...binDirs].join(':') },
    config: (config) => ({ ...config, ipam: { ...(config['ipam'] as Json), type: NAME } }),
  }
}

/** What it was asked so far: `VERB CONTAINERID`. */
export async function delegateCalls(world: World): Promise<readonly string[]> {
  const { stdout } = await world.lane.run(['cat', LOG])
  return stdout.split('\n').filter((line) => line !== '')
}
