/**
 * Offloads of a link, by the old ethtool ioctls: the netlink form came with
 * Linux 5.8, later than some kernels whose offloads need switching off.
 *
 * Source: include/uapi/linux/ethtool.h, struct ethtool_value;
 * include/uapi/linux/if.h, struct ifreq.
 *
 * @module
 */
import koffi from 'koffi'
import { ifname } from '../codecs.ts'
import { HOST_LITTLE, Writer } from '../writer.ts'
import { check, ioctlPointer } from './libc.ts'

const SIOCETHTOOL = 0x8946 // include/uapi/linux/sockios.h
const ETHTOOL_GTXCSUM = 0x16
const ETHTOOL_STXCSUM = 0x17
const IFREQ_BYTES = 40
const IFREQ_DATA = 16

/** Whether the link leaves checksums of what it sends to the device. */
export function txChecksum(fd: number, name: string): boolean {
  return ethtool(fd, name, ETHTOOL_GTXCSUM, 0, `read the offloads of ${name}`) !== 0
}

/** Switches that offload; software computes the checksums without it. */
export function setTxChecksum(fd: number, name: string, on: boolean): void {
  ethtool(fd, name, ETHTOOL_STXCSUM, on ? 1 : 0, `set the offloads of ${name}`)
}

function ethtool(fd: number, name: string, command: number, data: number, what: string): number {
  const value = new Uint8Array(8)
  const words = new DataView(value.buffer)
  words.setUint32(0, command, HOST_LITTLE)
  words.setUint32(4, data, HOST_LITTLE)
  const request = new Uint8Array(IFREQ_BYTES)
  const out = new Writer()
  ifname.write(out, name, 'ifname') // refuses what does not fit
  request.set(new TextEncoder().encode(name))
  new DataView(request.buffer).setBigUint64(IFREQ_DATA, koffi.address(value), HOST_LITTLE)
  check('ioctl', what, () => ioctlPointer(fd, SIOCETHTOOL, request))
  return words.getUint32(4, HOST_LITTLE)
}
