/**
 * CHECK: sees damage, forgives what later plugins may do, repairs nothing.
 *
 * @module
 */
import type { Json } from '../../lab/json.ts'
import { differs, type Facts, fail, notApplicable, pass, type Rule, silentOk } from '../model.ts'
import { readResult } from '../result.ts'
import { answerOf, tellAnswer } from '../runtime.ts'
import type { Attachment, World } from '../world.ts'
import { makesInterface } from './add.ts'
import { DELEGATE_SAYS, hasDelegate, withDelegate } from './delegate.ts'

const subject = 'CHECK'
const since = '0.4.0'

/** Breaks something of the attachment; undefined: there is no such thing. */
type Damage = (world: World, attachment: Attachment) => Promise<string | undefined>

/** ADD, damage, and a CHECK that must fail and change nothing. */
const sees = (
  rule: Pick<Rule, 'id' | 'title'> & Partial<Rule>,
  damage: Damage,
  why: string,
): Rule => ({
  subject,
  level: 'MUST',
  source: 'SPEC 2 CHECK',
  since,
  applies: makesInterface,
  ...rule,
  async check(world) {
    const attachment = await world.add()
    const done = await damage(world, attachment)
    if (done === undefined) return notApplicable(why)
    const [node, inside] = [await world.dump(), await world.dump(attachment.pod)]
    const { ok, calls } = await world.check(attachment)
    const last = calls.at(-1)
    if (last !== undefined && answerOf(last).kind === 'broken') return fail(tellAnswer(last))
    if (ok) return silentOk(`${done}: exit status 0, wanted an error`)
    const changes = [...(await world.since(node)), ...(await world.since(inside, attachment.pod))]
    if (changes.length > 0) return differs(`${done}: CHECK changed`, changes)
    return pass(`${done}: ${last === undefined ? '' : tellAnswer(last).slice(0, 160)}`)
  },
})

async function removeAddress(world: World, { pod, result }: Attachment) {
  const address = readResult(result).ips[0]?.address
  if (address === undefined) return undefined
  await world.ip(pod, 'addr', 'del', address, 'dev', pod.ifname)
  return `address ${address} removed`
}

async function putDown(world: World, { pod }: Attachment) {
  await world.ip(pod, 'link', 'set', pod.ifname, 'down')
  return `${pod.ifname} set down`
}

async function removeRoute(world: World, { pod, result }: Attachment) {
  const dst = readResult(result).routes[0]?.dst
  if (dst === undefined) return undefined
  await world.ip(pod, dst.includes(':') ? '-6' : '-4', 'route', 'del', dst)
  return `route ${dst} removed`
}

async function removeLink(world: World, { pod }: Attachment) {
  await world.ip(pod, 'link', 'del', pod.ifname)
  return `${pod.ifname} deleted`
}

async function renameHostEnd(world: World, { result }: Attachment) {
  const held = await world.dump()
  const ends = readResult(result).interfaces.filter(({ sandbox }) => sandbox === undefined)
  const name = ends
    .map((each) => each.name)
    .find((each) => held.lines.some((line) => line.startsWith(`link ${each} veth`)))
  if (name === undefined) return undefined
  await world.ip(undefined, 'link', 'set', name, 'down')
  await world.ip(undefined, 'link', 'set', name, 'name', 'elsewhere0')
  world.spoil()
  return `${name} renamed on the node`
}

/** Files that are named after the address, as host-local keeps them. */
async function removeReservation(world: World, { result }: Attachment) {
  const ips = readResult(result).ips.map(({ address }) => address.split('/')[0] ?? '')
  const { lines } = await world.dump()
  const path = lines.find((line) => ips.some((ip) => line.endsWith(`/${ip}`)))?.split(' ')[1]
  if (path === undefined) return undefined
  await world.lane.must(['rm', path])
  return `${path} removed`
}

const changedAddress = (result: Json): Json =>
  JSON.parse(JSON.stringify(result).replace(/"(address|ip)":"[\d.]+\//g, '"$1":"203.0.113.77/'))

export const CHECK_RULES: readonly Rule[] = [
  {
    id: 'CHK-01',
    subject,
    title: 'refused with code 1 below 0.4.0',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    applies: ({ versions }: Facts) =>
      versions.includes('0.3.1') ? undefined : 'it does not speak 0.3.1',
    async check(world) {
      const { pod, result } = await world.add(undefined, { version: '0.3.1' })
      const call = await world.call('CHECK', pod, { version: '0.3.1', prevResult: result })
      const answer = answerOf(call)
      const isRight = answer.kind === 'error' && answer.code === 1
      return isRight ? pass(answer.msg) : fail(`${tellAnswer(call)}, wanted code 1`)
    },
  },
  {
    id: 'CHK-02',
    subject,
    title: 'fails without prevResult',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    applies: makesInterface,
    async check(world) {
      const { pod } = await world.add()
      const call = await world.call('CHECK', pod)
      return answerOf(call).kind === 'error' ? pass(tellAnswer(call)) : fail(tellAnswer(call))
    },
  },
  {
    id: 'CHK-03',
    subject,
    title: 'forgives routes, addresses and an MTU that later plugins may have set',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    applies: makesInterface,
    async check(world) {
      const attachment = await world.add()
      const { pod } = attachment
      await world.ip(pod, 'addr', 'add', '203.0.113.5/32', 'dev', pod.ifname)
      await world.ip(pod, 'route', 'add', '198.51.100.0/24', 'dev', pod.ifname)
      await world.ip(pod, 'link', 'set', pod.ifname, 'mtu', '1300')
      const { ok, why } = await world.check(attachment)
      return ok ? pass('all three forgiven') : fail(why)
    },
  },
  sees(
    { id: 'CHK-04.address', title: 'sees that an address is gone' },
    removeAddress,
    'no address',
  ),
  sees(
    { id: 'CHK-04.down', title: 'sees that the interface is down', level: 'SHOULD' },
    putDown,
    '',
  ),
  sees(
    { id: 'CHK-04.route', title: 'sees that a route of the result is gone' },
    removeRoute,
    'the result has no routes',
  ),
  sees({ id: 'CHK-04.link', title: 'sees that the interface is gone' }, removeLink, ''),
  sees(
    { id: 'CHK-04.host', title: "sees that the pair's other end is gone", level: 'SHOULD' },
    renameHostEnd,
    'the node has no end of a pair of its own',
  ),
  {
    id: 'CHK-04.result',
    subject,
    title: 'compares with prevResult: another address in it is an error',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    applies: makesInterface,
    async check(world) {
      const attachment = await world.add()
      const prevResult = changedAddress(attachment.result)
      if (JSON.stringify(prevResult) === JSON.stringify(attachment.result))
        return notApplicable('no IPv4 address')
      const { ok, why } = await world.check(attachment, { prevResult })
      return ok ? silentOk('exit status 0, wanted an error') : pass(why.slice(0, 160))
    },
  },
  sees(
    {
      id: 'CHK-05',
      title: 'sees that the reservation of the address is gone',
      source: 'SPEC 2 CHECK, 4',
      applies: () => undefined,
    },
    removeReservation,
    'reservations are no files with the address for a name',
  ),
  {
    id: 'CHK-06',
    subject,
    title: 'passes right after ADD',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    async check(world) {
      const { ok, why } = await world.check(await world.add())
      return ok ? pass('exit status 0') : fail(why)
    },
  },
  {
    id: 'CHK-07',
    subject,
    title: "an error of the delegate's CHECK is passed on",
    level: 'MUST',
    source: 'SPEC 4',
    since,
    applies: hasDelegate,
    async check(world) {
      const { pod, result } = await world.add()
      const options = await withDelegate(world, { failing: 'CHECK' })
      const call = await world.call('CHECK', pod, { ...options, prevResult: result })
      const answer = answerOf(call)
      if (answer.kind === 'ok') return silentOk('exit status 0 although the delegate failed')
      const isPassedOn = answer.kind === 'error' && answer.msg.includes(DELEGATE_SAYS)
      return isPassedOn ? pass('it is') : fail(tellAnswer(call))
    },
  },
  {
    id: 'CHK-08',
    subject,
    title: 'changes nothing when all is well',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    async check(world) {
      const attachment = await world.add()
      const [node, inside] = [await world.dump(), await world.dump(attachment.pod)]
      await world.check(attachment)
      await world.check(attachment)
      const changes = [...(await world.since(node)), ...(await world.since(inside, attachment.pod))]
      return changes.length === 0 ? pass('both dumps as before') : differs('changed', changes)
    },
  },
  {
    id: 'CHK-10',
    subject,
    title: 'fails for a container that was never added',
    level: 'MUST',
    source: 'SPEC 2 CHECK',
    since,
    async check(world) {
      const { result } = await world.add()
      const { ok, why } = await world.chain('CHECK', await world.pod(), { prevResult: result })
      return ok ? silentOk('exit status 0, wanted an error') : pass(why.slice(0, 160))
    },
  },
]
