/**
 * `trivium bgp run` beside BIRD, both with BFD: a way that breaks ends the session long
 * before its hold time, and what was learned leaves the kernel.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HERE, THERE, world } from '../live/bgp/bfd-world.ts'
import { eventually } from '../live/bgp/routes-world.ts'
import { builtCli, skip } from '../support/e2e.ts'

const BIRD = '/usr/sbin/bird'
const PREFIX = '20.7.0.0/16'

const SPEAKER = `
asn: 65001
routerId: ${HERE[0]}
listen: [${HERE[0]}]
kernel: { table: 254 }
policies:
  all: { rules: [], otherwise: accept }
peers:
  - address: ${THERE[0]}
    asn: 65002
    holdSeconds: 240
    gracefulRestart: false
    importPolicy: all
    exportPolicy: all
    bfd: { intervalMs: 100, multiplier: 3 }
`
const NEIGHBOUR = `
router id ${THERE[0]};
protocol device {}
protocol bfd { interface "eth0" { interval 100 ms; multiplier 3; }; }
protocol static { ipv4; route ${PREFIX} blackhole; }
protocol bgp peer1 {
  local ${THERE[0]} as 65002;
  neighbor ${HERE[0]} as 65001;
  hold time 240; connect delay time 1; connect retry time 1; error wait time 1, 2;
  bfd on;
  ipv4 { import all; export all; };
}
`

t.test(
  'a way that breaks',
  { skip: skip || (existsSync(BIRD) ? false : 'no bird2') },
  async (t) => {
    const of = world(t)
    const [file, config] = [join(of.folder, 'speaker.yaml'), join(of.folder, 'bird.conf')]
    writeFileSync(file, SPEAKER)
    writeFileSync(config, NEIGHBOUR)
    const control = join(of.folder, 'bird.ctl')
    of.start(1, BIRD, '-f', '-c', config, '-s', control)
    of.start(0, ...builtCli(), 'bgp', 'run', file, '--socket', join(of.folder, 'run', 'bgp.sock'))
    const asked = (what: string): string =>
      existsSync(control) ? of.exec(1, 'birdc', '-s', control, ...what.split(' ')) : ''
    const learned = (): string => of.exec(0, 'ip', 'route', 'show', 'proto', '85')
    const together = async (): Promise<void> => {
      await eventually(learned, (text) => text.includes(`${PREFIX} via ${THERE[0]} dev eth0`))
      await eventually(
        () => asked('show bfd sessions'),
        (text) => / Up /.test(text),
      )
    }
    await together()
    of.carry(false)
    await eventually(learned, (text) => text === '')
    await eventually(
      () => asked('show protocols peer1'),
      (text) => text.includes('peer1') && !text.includes('Established'),
    )
    of.carry(true)
    await together()
    t.match(asked('show protocols peer1'), /Established/)
  },
)
