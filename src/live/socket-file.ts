/**
 * A Unix socket at a path of the file system: where it lives and who may
 * connect.
 *
 * It is for root alone: mode 0600, in a directory made with mode 0700. It is
 * bound under a private directory and linked to its name only when it is
 * complete, so nobody ever connects to a half-made one, and two servers that
 * start together cannot both believe that the name is theirs.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { chmod, link, lstat, mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { createConnection, type Server } from 'node:net'
import { basename, dirname, isAbsolute, join } from 'node:path'

/** The path of the socket cannot be used. */
export class SocketError extends Error {
  override readonly name = 'SocketError'
  readonly code:
    | 'AGENT_SOCKET_PATH'
    | 'AGENT_SOCKET_IN_USE'
    | 'AGENT_SOCKET_NOT_A_SOCKET'
    | 'AGENT_SOCKET_DIRECTORY'

  constructor(code: SocketError['code'], path: string, reason: string) {
    super(`Cannot serve on ${path}: ${reason}`)
    this.code = code
  }
}

/** What sun_path holds with its final NUL. Source: unix(7). */
const PATH_BYTES_MAX = 107
/** Names that we put beside a socket: files of node, cluster and uplinks, locks, other sockets, nurseries that a kill left. */
const OURS =
  /^((node\.json|cluster\.(json|mark)|uplink-.+\.json|bgp\.mark)(\.\d+)?|(attachments|uplink)\.lock|\w+\.sock|\.[0-9a-f]{6})$/

/** Listens at `path` and returns the inode there. */
export async function publishSocket(server: Server, path: string): Promise<bigint> {
  // As long as `/agent.sock`, so a path that fits usually fits here too.
  const nursery = join(dirname(path), `.${randomBytes(3).toString('hex')}`)
  const born = join(nursery, 's')
  checkPath(path, path)
  checkPath(path, born)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await guardDirectory(path)
  await mkdir(nursery, { mode: 0o700 })
  try {
    await listen(server, born)
    await chmod(born, 0o600)
    await removeStale(path, join(nursery, 'o'))
    const { ino } = await lstat(born, { bigint: true })
    await linkUnlessTaken(born, path)
    return ino
  } catch (error) {
    server.close()
    throw error
  } finally {
    await rm(nursery, { recursive: true, force: true })
  }
}

/**
 * A directory that was there before. Where others may write, they could put a
 * socket of their own in the place of ours: refused. Where they may only look,
 * our own mode keeps them out; it is tightened if nothing but ours is in it, as
 * after a volume was made for it, and otherwise not ours to change.
 */
async function guardDirectory(path: string): Promise<void> {
  const directory = dirname(path)
  const { mode, uid } = await stat(directory)
  const permissions = mode & 0o7777
  const shown = permissions.toString(8).padStart(4, '0')
  const refuse = (reason: string): SocketError =>
    new SocketError(
      'AGENT_SOCKET_DIRECTORY',
      path,
      `${reason}, so that others could put a socket of their own there; wanted a directory of its own with mode 0700`,
    )
  if (uid !== 0 && uid !== process.geteuid?.()) throw refuse(`${directory} belongs to user ${uid}`)
  if ((permissions & 0o022) !== 0) throw refuse(`${directory} has mode ${shown}`)
  if ((permissions & 0o077) === 0) return
  const names = await readdir(directory)
  const isOurs = names.every((name) => name === basename(path) || OURS.test(name))
  if (isOurs) await chmod(directory, 0o700)
}

function checkPath(path: string, used: string): void {
  const bytes = Buffer.byteLength(used)
  if (isAbsolute(path) && bytes <= PATH_BYTES_MAX) return
  const reason = isAbsolute(path)
    ? `${used} has ${bytes} bytes, a socket path at most ${PATH_BYTES_MAX}`
    : 'the path is relative, launchers need an absolute one'
  throw new SocketError('AGENT_SOCKET_PATH', path, reason)
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/**
 * Removes a socket that nobody listens on.
 *
 * It is moved aside first and tried again there: between the first look and the
 * move another agent may have put its own socket at `path`.
 */
async function removeStale(path: string, aside: string): Promise<void> {
  const found = await lstat(path).catch(ignoring('ENOENT'))
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new SocketError('AGENT_SOCKET_NOT_A_SOCKET', path, 'it exists and is no socket')
  }
  if (await answers(path)) throw inUse(path)
  await rename(path, aside).catch(ignoring('ENOENT'))
  if (await answers(aside)) {
    await linkUnlessTaken(aside, path)
    throw inUse(path)
  }
}

async function linkUnlessTaken(born: string, path: string): Promise<void> {
  try {
    await link(born, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(path)
    throw error
  }
}

function inUse(path: string): SocketError {
  return new SocketError('AGENT_SOCKET_IN_USE', path, 'another agent listens there')
}

/** Whether somebody listens at `path`. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    const done = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    // ECONNREFUSED: a file without a listener. EAGAIN: a listener with a full backlog.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

/** Removes the name, unless it is another server's by now. */
export async function withdrawSocket(path: string, inode: bigint): Promise<void> {
  const found = await lstat(path, { bigint: true }).catch(ignoring('ENOENT'))
  if (found?.ino === inode) await unlink(path).catch(ignoring('ENOENT'))
}

/** A handler that turns one expected errno into undefined. */
function ignoring(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error
    return undefined
  }
}
