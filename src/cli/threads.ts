/**
 * How many threads libuv's pool has. Imported first: loading the store starts
 * the pool, and its size is read only then.
 *
 * The end of a link keeps a thread waiting for 13 to 20 ms (RCU), so with the
 * usual four a burst of DELs would queue in the agent.
 *
 * @module
 */
const AGENT_THREADS = '32'

if (process.argv[2] === 'agent') process.env['UV_THREADPOOL_SIZE'] ??= AGENT_THREADS
