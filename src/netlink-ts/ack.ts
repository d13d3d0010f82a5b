/**
 * Acknowledgements: NLMSG_ERROR, and the error that can end a dump.
 *
 * The payload is a negative errno (0 = success) and the request's header. The
 * request's body follows unless NLM_F_CAPPED says it was left out; then, if
 * NLM_F_ACK_TLVS is set, the extended ACK: attributes that explain the error.
 *
 * Source: include/uapi/linux/netlink.h, struct nlmsgerr and enum nlmsgerr_attrs.
 *
 * @module
 */
import { attr, attrTable, readAttrs } from './attrs.ts'
import { string, u32 } from './codecs.ts'
import { DecodeError, NetlinkError } from './errors.ts'
import { HEADER, HEADER_BYTES, NLM_F, NLMSG } from './message.ts'
import { aligned, HOST_LITTLE } from './writer.ts'

const ERRNO_BYTES = 4

/** Attributes of an extended ACK. */
export const extAckAttrs = attrTable({
  message: attr(1, string), // NLMSGERR_ATTR_MSG
  offset: attr(2, u32), //     NLMSGERR_ATTR_OFFS
  missType: attr(5, u32), //   NLMSGERR_ATTR_MISS_TYPE
  missNest: attr(6, u32), //   NLMSGERR_ATTR_MISS_NEST
})

/**
 * Returns the positive errno of the NLMSG_ERROR or NLMSG_DONE at `offset`; 0 is success.
 *
 * @throws {DecodeError} The message is too short to hold one.
 */
export function ackErrno(view: DataView, offset: number, length: number): number {
  if (length < HEADER_BYTES + ERRNO_BYTES) {
    throw new DecodeError('acknowledgement', offset, `${HEADER_BYTES + ERRNO_BYTES} bytes`, length)
  }
  return Math.abs(view.getInt32(offset + HEADER_BYTES, HOST_LITTLE))
}

/**
 * Builds the error of a refused request.
 *
 * @throws {DecodeError} The extended ACK does not follow the format.
 */
export function ackError(
  view: DataView,
  offset: number,
  length: number,
  request: string,
): NetlinkError {
  const errno = ackErrno(view, offset, length)
  const hint = readHint(view, offset, length)
  const missing = hint.missType === undefined ? undefined : `attribute ${hint.missType} is missing`
  return new NetlinkError({
    request,
    errno,
    hint: hint.message ?? missing,
    offset: hint.offset,
  })
}

function readHint(
  view: DataView,
  offset: number,
  length: number,
): ReturnType<typeof readAttrs<typeof extAckAttrs.rows>> {
  const flags = view.getUint16(offset + HEADER.flags, HOST_LITTLE)
  if ((flags & NLM_F.ackTlvs) === 0) return {}
  const end = offset + length
  const start = offset + HEADER_BYTES + ERRNO_BYTES
  if (view.getUint16(offset + HEADER.type, HOST_LITTLE) === NLMSG.done) {
    return readAttrs(extAckAttrs, view, start, end)
  }
  if (end - start < HEADER_BYTES) {
    throw new DecodeError('refused header', start, `${HEADER_BYTES} bytes`, end - start)
  }
  const echoed =
    (flags & NLM_F.capped) === 0
      ? aligned(Math.max(view.getUint32(start, HOST_LITTLE), HEADER_BYTES))
      : HEADER_BYTES
  if (echoed > end - start) {
    throw new DecodeError('refused request', start, `at most ${end - start} bytes`, echoed)
  }
  return readAttrs(extAckAttrs, view, start + echoed, end)
}
