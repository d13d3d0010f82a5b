/**
 * What a person can do about a disk that refuses.
 *
 * @module
 */

/** By what Node (`code`) or the C library (`strerror`, which LMDB passes on) says; empty where that does not tell. */
export function diskAdvice(thrown: unknown): string {
  const { code = '', message = '' } = Object(thrown) as { code?: string; message?: string }
  if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left|quota/i.test(message)) {
    return 'Free some space on that disk'
  }
  if (code === 'EROFS' || /read-only file system/i.test(message)) {
    return 'Its file system is mounted to read only, as the kernel does after an error of the disk (dmesg tells): mount it to write again'
  }
  if (code === 'EIO' || /input\/output error/i.test(message)) {
    return 'The disk fails (dmesg tells): copy the store to another one'
  }
  return ''
}
