/**
 * Plugins that misbehave on purpose: each is ours behind a small script that
 * does one thing wrong, with the rules that have to notice.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type NetworkList, parseNetworkList } from '../../src/conformance/mod.ts'

export interface Mutant {
  readonly what: string
  /** Shell; `$real` is the plugin behind it. */
  readonly script: string
  /** Every rule that must not pass; all others must. The first is the one that was written for it. */
  readonly breaks: readonly string[]
  /** Those of them that must be called silent. */
  readonly silent?: readonly string[]
  /** What is behind the script. @default the main plugin */
  readonly as?: 'trivium-ipam' | 'chained'
  /** What it does to one rule reaches those after it: it runs with few. */
  readonly reachesOthers?: true
  /** Runs without the agent. */
  readonly isDaemonStopped?: true
}

/** Runs the plugin, then changes what it printed. */
const printed = (verb: string, filter: string): string =>
  `[ "$CNI_COMMAND" = ${verb} ] || exec $real
out=$($real); status=$?
printf '%s\\n' "$out" | ${filter}
exit $status`

const on = (verb: string, work: string): string =>
  `if [ "$CNI_COMMAND" = ${verb} ]; then\n${work}\nfi\nexec $real`

/** A FIFO in place of a namespace would never open. */
const inPod = (command: string): string =>
  `{ [ ! -p "$CNI_NETNS" ] && nsenter --net="$CNI_NETNS" -- ${command}; }`

/** Whether a DEL is one that a runtime may send. */
const IS_WHOLE = '[ -n "$CNI_CONTAINERID" ] && [ -n "$CNI_IFNAME" ] && [ -n "$CNI_PATH" ]'

const REFUSE = `{ cat >/dev/null; echo '{"cniVersion":"1.1.0","code":7,"msg":"no"}'; exit 1; }`

const CHECK_DAMAGES = ['address', 'down', 'route', 'link', 'host', 'result'].map(
  (name) => `CHK-04.${name}`,
)

export const MUTANTS: readonly Mutant[] = [
  { what: 'does nothing wrong', script: 'exec $real', breaks: [] },
  {
    what: 'logs to standard output',
    script: on('ADD', 'echo "level=info adding"'),
    breaks: ['OUT-04'],
  },
  {
    what: 'gives results of 0.4.0 another version',
    script: printed('ADD', `sed 's/"cniVersion":"0.4.0"/"cniVersion":"1.0.0"/'`),
    breaks: ['OUT-05'],
  },
  {
    what: 'gives errors no cniVersion',
    script: `out=$($real); status=$?
[ $status = 0 ] || out=$(printf '%s' "$out" | sed 's/"cniVersion":"[^"]*",//')
[ -z "$out" ] || printf '%s\\n' "$out"
exit $status`,
    breaks: ['OUT-03'],
  },
  {
    what: 'takes any container id',
    script: `CNI_CONTAINERID=$(printf %s "$CNI_CONTAINERID" | tr -c 'a-zA-Z0-9_.-' x); export CNI_CONTAINERID
exec $real`,
    breaks: ['ENV-06'],
  },
  {
    what: 'knows verbs in lower case',
    script: 'CNI_COMMAND=$(printf %s "$CNI_COMMAND" | tr a-z A-Z); export CNI_COMMAND\nexec $real',
    breaks: ['ENV-01'],
  },
  {
    what: 'gives the interface an address that it does not tell',
    script: `[ "$CNI_COMMAND" = ADD ] || exec $real
out=$($real); status=$?
[ $status = 0 ] && ${inPod('ip addr add 203.0.113.9/32 dev "$CNI_IFNAME"')}
printf '%s\\n' "$out"; exit $status`,
    breaks: ['ADD-13'],
  },
  {
    what: 'tells another MTU than it set',
    script: printed('ADD', `sed 's/"mtu":1450/"mtu":1400/g'`),
    breaks: ['ADD-01', 'RES-1.1.0'],
  },
  {
    what: 'tells another sandbox',
    script: printed('ADD', `sed 's|"sandbox":"[^"]*"|"sandbox":"/proc/1/ns/net"|'`),
    breaks: ['ADD-05'],
  },
  {
    what: 'replaces an interface that is there',
    script: on('ADD', `${inPod('ip link del "$CNI_IFNAME"')} 2>/dev/null`),
    breaks: ['ADD-02', 'ADD-03', 'ADD-09'],
  },
  {
    what: 'forgets the first interface of prevResult',
    as: 'chained',
    script: `case $CNI_COMMAND in
ADD) exec node -e '
const { prevResult: r } = JSON.parse(require("fs").readFileSync(0, "utf8"))
r.interfaces.shift()
for (const ip of r.ips) ip.interface--
console.log(JSON.stringify(r))';;
VERSION) exec $real;;
*) cat >/dev/null;;
esac`,
    breaks: ['ADD-04', 'ADD-05'],
  },
  {
    what: 'gives one address to everybody',
    as: 'trivium-ipam',
    script: `[ "$CNI_COMMAND" = ADD ] || exec $real
out=$($real) || { status=$?; printf '%s\\n' "$out"; exit $status; }
printf '%s\\n' "$out" | sed 's/10\\.88\\.0\\.[0-9]*\\/28/10.88.0.9\\/28/'`,
    breaks: ['ADD-12', 'HAB-04', 'CHK-06', 'GC-10'],
  },
  {
    what: 'does nothing in DEL when there is no namespace',
    script: on('DEL', '[ -n "$CNI_NETNS" ] || { cat >/dev/null; exit 0; }'),
    breaks: ['DEL-02', 'HAB-12'],
  },
  {
    what: 'wants prevResult in DEL',
    script: `if [ "$CNI_COMMAND" = DEL ] && ${IS_WHOLE}; then
in=$(cat)
case $in in *prevResult*) ;; *) echo '{"cniVersion":"1.1.0","code":7,"msg":"no prevResult"}'; exit 1;; esac
printf '%s' "$in" | $real
exit
fi
exec $real`,
    breaks: ['DEL-03'],
  },
  {
    what: 'keeps the addresses of containers that it deletes',
    as: 'trivium-ipam',
    script: on('DEL', '{ cat >/dev/null; exit 0; }'),
    breaks: ['DEL-12', 'CHK-06'],
    reachesOthers: true,
  },
  {
    what: 'deletes every container at each DEL',
    script: `[ "$CNI_COMMAND" = DEL ] || exec $real
in=$(cat)
printf '%s' "$in" | sed 's/^{/{"cni.dev\\/valid-attachments":[],/;s/"cniVersion":"[^"]*"/"cniVersion":"1.1.0"/' | CNI_COMMAND=GC $real
printf '%s' "$in" | $real`,
    breaks: ['DEL-11', 'HAB-16'],
  },
  {
    what: 'answers ok to every CHECK',
    script: on('CHECK', '{ cat >/dev/null; exit 0; }'),
    breaks: [
      'CHK-04.address',
      'CHK-01',
      'CHK-02',
      'CHK-10',
      'ENV-03',
      'ENV-05',
      ...CHECK_DAMAGES.slice(1),
    ],
    silent: [...CHECK_DAMAGES, 'CHK-10'],
  },
  {
    what: 'puts the interface up when CHECK finds it down',
    script: `[ "$CNI_COMMAND" = CHECK ] || exec $real
out=$($real); status=$?
${inPod('ip link set "$CNI_IFNAME" up')} 2>/dev/null
[ -z "$out" ] || printf '%s\\n' "$out"
exit $status`,
    breaks: ['CHK-04.down'],
  },
  {
    what: 'answers ok to every STATUS',
    script: on('STATUS', '{ cat >/dev/null; exit 0; }'),
    breaks: ['ST-03', 'ST-01', 'ST-03.code'],
    silent: ['ST-03', 'ST-03.code'],
  },
  {
    what: 'answers ok to every STATUS while its daemon is stopped',
    script: on('STATUS', '{ cat >/dev/null; exit 0; }'),
    isDaemonStopped: true,
    breaks: ['ST-02.daemon', 'ST-01', 'ST-03', 'ST-03.code'],
    silent: ['ST-02.daemon', 'ST-03', 'ST-03.code'],
  },
  {
    what: 'hangs in STATUS',
    script: on('STATUS', 'sleep 1000'),
    breaks: ['ST-02', 'ST-01', 'ST-03', 'ST-03.code'],
  },
  {
    what: 'floods standard output in STATUS',
    script: on('STATUS', 'exec head -c 100000000 /dev/zero'),
    breaks: ['ST-02', 'ST-01', 'ST-03', 'ST-03.code'],
  },
  {
    what: 'prints bytes that are no UTF-8 in STATUS',
    script: on('STATUS', `{ cat >/dev/null; printf '\\377\\376'; exit 0; }`),
    breaks: ['ST-02', 'OUT-01', 'ST-01', 'ST-03', 'ST-03.code'],
  },
  {
    what: 'answers ok to every GC',
    script: on('GC', '{ cat >/dev/null; exit 0; }'),
    breaks: ['GC-03', 'GC-01', 'GC-03.pool'],
    silent: ['GC-03', 'GC-03.pool'],
  },
  {
    what: 'deletes everything when GC has no list',
    script: `[ "$CNI_COMMAND" = GC ] || exec $real
in=$(cat)
case $in in *valid-attachments*) ;; *) in=$(printf '%s' "$in" | sed 's/^{/{"cni.dev\\/valid-attachments":[],/');; esac
printf '%s' "$in" | $real`,
    breaks: ['GC-02'],
  },
  {
    what: 'deletes what is on the list of GC',
    script: `[ "$CNI_COMMAND" = GC ] || exec $real
sed 's/"containerID":"[^"]*"/"containerID":"x"/g' | $real`,
    breaks: ['GC-10'],
  },
  {
    what: 'answers VERSION only when all variables are there',
    script: `[ "$CNI_COMMAND" = VERSION ] && [ -z "$CNI_CONTAINERID" ] && ${REFUSE}\nexec $real`,
    breaks: ['VER-01', 'VER-02', 'VER-01.echo'],
  },
]

export interface MadeMutant {
  readonly dir: string
  readonly list: NetworkList
}

const OURS = { store: 'lmdb:/run/trivium/store', socket: '/run/trivium/agent.sock' }

/** Writes the script into a folder of its own. @param binDir Where the plugin behind it is. */
export function makeMutant(mutant: Mutant, folder: string, binDir: string): MadeMutant {
  const dir = join(folder, mutant.what.replace(/\W+/g, '-'))
  mkdirSync(dir, { recursive: true })
  const real = join(binDir, mutant.as === 'trivium-ipam' ? 'trivium-ipam' : 'trivium')
  const path = join(dir, 'mutant')
  writeFileSync(path, `#!/bin/sh\nreal=${real}\n${mutant.script}\n`)
  chmodSync(path, 0o755)
  const own = { type: 'mutant', ...OURS }
  const plugins =
    mutant.as === 'trivium-ipam'
      ? [{ type: 'mutant', ipam: own }]
      : mutant.as === 'chained'
        ? [{ type: 'trivium', ...OURS }, own]
        : [own]
  const text = JSON.stringify({ cniVersion: '1.1.0', name: 'pods', plugins })
  return { dir, list: parseNetworkList(text, path) }
}
