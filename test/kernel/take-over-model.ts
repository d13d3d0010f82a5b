/**
 * A kernel as far as a take-over goes, with what makes it hard: a first address takes the others of
 * its prefix along, the last address of a link takes its routes and neighbours, routes need a way to
 * their gateway and an address that they prefer, and go with it.
 */
import { strict as assert } from 'node:assert'
import type { Act, Entry, Laden } from '../../src/kernel/take-over/model.ts'

/** What stands in `Entry.told` here. */
export interface Facts {
  readonly ip?: string
  /** Addresses and gateways of one number are of one prefix. */
  readonly net?: number
  readonly prefSrc?: string
  readonly id: number
}

interface Held {
  readonly on: string
  readonly entry: Entry
  /** IPv6 addresses: whether it came without a look for others, and is still marked so. */
  readonly isUnprobed: boolean
}

interface Port {
  master: string | undefined
  genMode: number
}

export class Model {
  readonly links = new Map<string, Port>()
  held: Held[] = []
  readonly settings = new Map<string, string>()
  readonly riders = new Map<string, string>()

  /** A link as an observer would tell it. */
  laden(name: string, index: number, other: string): Laden {
    const prefix = (setting: string): string => setting.replace('%', other)
    const templates = [...this.settings].filter(([key]) => key.includes(`.${name}.`))
    return {
      name,
      index,
      mac: '02:00:00:00:00:01' as Laden['mac'],
      mtuBytes: 1500,
      genMode: this.links.get(name)?.genMode,
      entries: this.held.filter(({ on }) => on === name).map(({ entry }) => entry),
      settings: templates.flatMap(([key, value]) => {
        const template = key.replace(`.${name}.`, '.%.')
        const was = this.settings.get(prefix(template)) ?? '0'
        return was === value ? [] : [{ name: template, value, was }]
      }),
      riders: [...this.riders].flatMap(([rider, on]) => (on === name ? [rider] : [])),
    }
  }

  /** Everything, in an order that says nothing but which address of a prefix came first. */
  dump(): readonly string[] {
    const rows = this.held.map(({ on, entry, isUnprobed }) => `${on} ${entry.told} ${isUnprobed}`)
    const isFirst = this.held.flatMap((each) =>
      this.#followers(each).length > 0 ? [`first ${each.entry.told}`] : [],
    )
    const links = [...this.links].map(([name, port]) => `${name} ${JSON.stringify(port)}`)
    return [
      ...rows,
      ...isFirst,
      ...links,
      ...[...this.settings].map(String),
      ...[...this.riders].map(String),
    ].sort()
  }

  /** Does it, or finds that it is so already. @throws what a kernel would refuse otherwise. */
  run(act: Act): void {
    switch (act.act) {
      case 'bridge.add':
        assert(!this.links.has(act.bridge), 'EEXIST')
        this.links.set(act.bridge, { master: undefined, genMode: 1 })
        return
      case 'bridge.remove':
        this.#removeLink(act.bridge)
        return
      case 'join':
        this.#port(act.link).master = act.bridge
        return
      case 'leave':
        this.#port(act.link).master = undefined
        return
      case 'await':
        return
      case 'genmode':
        if (this.links.has(act.link)) this.#port(act.link).genMode = act.mode
        return
      case 'setting': {
        if (this.links.has(act.name.split('.')[2] ?? '')) this.settings.set(act.name, act.value)
        return
      }
      case 'rider':
        if (this.links.has(act.on)) this.riders.set(act.link, act.on)
        return
      case 'put':
        this.#put(act.entry, act.on)
        return
      case 'drop':
        this.#drop(act.entry, act.on)
        return
      case 'settle':
        this.held = this.held.map((each) =>
          each.on === act.on && each.entry.told === act.entry.told
            ? { ...each, isUnprobed: false }
            : each,
        )
    }
  }

  add(entry: Entry, on: string): void {
    this.held.push({ on, entry, isUnprobed: false })
  }

  facts = (entry: Entry): Facts => JSON.parse(entry.told) as Facts

  has(on: string, entry: Entry): boolean {
    return this.held.some((each) => each.on === on && each.entry.told === entry.told)
  }

  #port(name: string): Port {
    const port = this.links.get(name)
    assert(port !== undefined, `ENODEV ${name}`)
    return port
  }

  #put(entry: Entry, on: string): void {
    if (!this.links.has(on) || this.has(on, entry)) return
    const { net, prefSrc } = this.facts(entry)
    if (entry.kind === 'route' && entry.isVia === true) {
      const ways = this.held.filter((each) => each.on === on && each.entry.family === entry.family)
      const isWay = ways.some(
        (each) =>
          this.facts(each.entry).net === net &&
          (each.entry.kind === 'addr' ||
            (each.entry.kind === 'route' && each.entry.isVia !== true)),
      )
      assert(isWay, `ENETUNREACH ${entry.told} on ${on}`)
    }
    if (prefSrc !== undefined) assert(this.#hasAddress(prefSrc), `EINVAL ${entry.told}`)
    this.held.push({ on, entry, isUnprobed: entry.kind === 'addr' && entry.isProbed === true })
  }

  #hasAddress = (ip: string): boolean =>
    this.held.some(({ entry }) => entry.kind === 'addr' && this.facts(entry).ip === ip)

  #followers({ on, entry }: Held): readonly Held[] {
    const { net } = this.facts(entry)
    if (entry.kind !== 'addr' || entry.family !== 4) return []
    const same = this.held.filter(
      (each) =>
        each.on === on &&
        each.entry.kind === 'addr' &&
        each.entry.family === 4 &&
        this.facts(each.entry).net === net,
    )
    return same[0]?.entry.told === entry.told ? same.slice(1) : []
  }

  #drop(entry: Entry, on: string): void {
    const found = this.held.find((each) => each.on === on && each.entry.told === entry.told)
    if (found === undefined) return
    const gone = new Set<Held>([found, ...this.#followers(found)])
    this.held = this.held.filter((each) => !gone.has(each))
    for (const { entry: address } of gone) {
      const { ip } = this.facts(address)
      if (address.kind !== 'addr' || ip === undefined || this.#hasAddress(ip)) continue
      this.held = this.held.filter((each) => this.facts(each.entry).prefSrc !== ip)
    }
    const isLast =
      entry.kind === 'addr' &&
      entry.family === 4 &&
      !this.held.some(
        (each) => each.on === on && each.entry.kind === 'addr' && each.entry.family === 4,
      )
    if (isLast)
      this.held = this.held.filter(
        (each) => each.on !== on || each.entry.family !== 4 || each.entry.kind === 'rule',
      )
  }

  #removeLink(name: string): void {
    this.links.delete(name)
    for (const port of this.links.values()) if (port.master === name) port.master = undefined
    const addresses = this.held.filter((each) => each.on === name && each.entry.kind === 'addr')
    for (const { entry } of [...addresses].reverse()) this.#drop(entry, name)
    // Rules stay, and are detached.
    this.held = this.held.filter((each) => each.on !== name || each.entry.kind === 'rule')
    for (const key of this.settings.keys()) if (key.includes(`.${name}.`)) this.settings.delete(key)
    for (const [rider, on] of this.riders) if (on === name) this.riders.delete(rider)
  }
}
