/** The thread of a BGP speaker's BFD. */
import { parentPort } from 'node:worker_threads'
import { runBfd } from '../src/live/bgp/bfd-thread.ts'

if (parentPort !== null) runBfd(parentPort)
