/**
 * Runs the part in a process of its own, from a bundle as it is shipped, and prints
 * it as JSON: the loader of the tests names every function that is made, which
 * costs an allocation a fifth.
 */
import { commits } from './ipam-commits.ts'

async function main(dir: string, rounds: number): Promise<void> {
  const { samples, verdicts } = await commits(dir, rounds)
  console.log(JSON.stringify({ samples: [...samples], verdicts }))
}

const [dir = '', rounds = '1'] = process.argv.slice(2)
main(dir, Number(rounds))
