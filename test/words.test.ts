import t from 'tap'
import { counted } from '../src/words.ts'

t.strictSame(
  [counted(1, 'block'), counted(0, 'block'), counted(2, 'address'), counted(1n, 'switch')],
  ['1 block', '0 blocks', '2 addresses', '1 switch'],
)
t.equal(
  counted(1000, 'node', (number) => number.toLocaleString('en')),
  '1,000 nodes',
)
t.equal(counted(3, 'switch'), '3 switches')
