/**
 * What lies below the prefix beside the records.
 *
 *     KEY                a record, as JSON
 *     !removed/SECTION   written whenever a key of this section goes
 *     !client/ID         the last commit of a client that runs
 *
 * A comparison of etcd over a range looks at keys that are there, so it misses
 * one that went: that is what `!removed` is for. A section is the first part of a
 * key, and every range lies in one.
 *
 * @module
 */

/** Internal keys start with this; no record's may. */
const INTERNAL = '!'

export const isInternal = (key: string): boolean => key.startsWith(INTERNAL)

/** First part of a key or range, without its slash. */
export const sectionOf = (key: string): string => {
  const slash = key.indexOf('/')
  return slash < 0 ? key : key.slice(0, slash)
}

export const removedKey = (section: string): string => `${INTERNAL}removed/${section}`

export const clientKey = (id: string): string => `${INTERNAL}client/${id}`

/** First key after all that start with `range`, which ends with a slash. */
export const rangeEnd = (range: string): string => `${range.slice(0, -1)}0`
