/**
 * host-local's folder of one network: `/var/lib/cni/networks/NAME`.
 *
 * A file an address, named after it, with `containerID\r\nifname`, or the
 * container alone as older versions wrote. `lock` and `last_reserved_ip.N` are no
 * addresses. A power cut leaves empty files: addresses nobody can give back.
 * Source: containernetworking/plugins, plugins/ipam/host-local/backend/disk.
 *
 * @module
 */
import { tryParseIp } from '../../src/net/mod.ts'
import { asName, ENTRIES_MAX, type Foreign, gathering, told } from './foreign.ts'

export interface FolderFile {
  readonly name: string
  readonly text: string
}

/** Longer than any container's name and interface. */
export const HOST_LOCAL_BYTES_MAX = 4096

export function readHostLocal(files: readonly FolderFile[]): Foreign {
  const found = gathering()
  for (const { name, text } of files.slice(0, ENTRIES_MAX)) {
    if (name === 'lock' || /^last_reserved_ip\.\d+$/.test(name)) continue
    // Windows has no colon in names.
    const ip = tryParseIp(name.includes(':') ? name : name.replaceAll('_', ':'))
    if (ip === undefined) {
      found.ignored.push(`file ${told(name)}: its name is no address`)
      continue
    }
    const [first = '', second, ...rest] = text.slice(0, HOST_LOCAL_BYTES_MAX).trim().split(/\r?\n/)
    const [containerId, ifname] = [asName(first.trim()), asName(second?.trim())]
    if (first === '') {
      found.ignored.push(`${ip}: its file is empty, as a power cut leaves it; nobody can have it`)
    } else if (
      containerId === undefined ||
      rest.length > 0 ||
      (second !== undefined && ifname === undefined)
    ) {
      found.ignored.push(`${ip}: its file holds ${told(text)}, wanted a container and an interface`)
    } else {
      found.addresses.push({ ip, containerId, ...(ifname === undefined ? {} : { ifname }) })
    }
  }
  return found
}
