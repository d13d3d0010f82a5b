/**
 * How many threads libuv's pool has. Imported first: loading the store starts
 * the pool, and its size is read only then.
 *
 * The end of a link keeps a thread waiting for 13 to 20 ms (RCU), and for longer
 * when many end: with the usual four a burst of DELs would queue in the agent,
 * and behind it everything else that uses the pool. An idle thread costs about
 * 20 KiB.
 *
 * @module
 */
const AGENT_THREADS = '128'

if (process.argv[2] === 'agent') process.env['UV_THREADPOOL_SIZE'] ??= AGENT_THREADS
