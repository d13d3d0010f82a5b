/**
 * What `--help` says behind the options of `trivium bgp run` and of questions to a speaker.
 *
 * @module
 */

/** Of every command that asks a running speaker. */
const ASKED = `
Exit status:
  0  answered, also when there is nothing to show
  1  no speaker answers, there is no such peer, or the address or prefix is none
  2  the command line makes no sense
`

export const HELP = {
  run: `
Examples:
  trivium bgp run speaker.yaml
  trivium bgp run speaker.yaml --socket /run/lab.sock --log-level debug
  trivium bgp run speaker.yaml --restarting       after SIGUSR1 or a crash: no packet is lost
  trivium bgp run speaker.yaml --record told.bin  what it was told, to look at elsewhere
  trivium bgp run speaker.yaml --mrt updates.mrt  then: bgpdump -m updates.mrt
  kill -HUP $PID                                  reads the file again; one with a mistake changes nothing

Exit status:
  0  ended by SIGTERM, SIGINT or SIGUSR1
  1  the file has a mistake, or an address, the socket or a file cannot be used
  2  the command line makes no sense

The file is described in docs/bgp.md.
`,
  peers: `
Examples:
  trivium bgp peers
  trivium bgp peers -o wide                        with updates and descriptions
  trivium bgp peers -o json | jq '.[] | select(.state != "established") | .address'
${ASKED}`,
  routes: `
Examples:
  trivium bgp routes
  trivium bgp routes ipv6 --within 2001:db8::/32 -o wide
  trivium bgp routes --from 192.0.2.2              what this peer is used for
  trivium bgp routes --from own
${ASKED}`,
  show: `
Examples:
  trivium bgp show 10.42.0.0/16                    every path, the best one first, and why the others lost
  trivium bgp show 10.42.0.0/26 --to 192.0.2.1     what the peer is told of it
  trivium bgp show 2001:db8:42::/64 -o json
${ASKED}`,
  reset: `
Examples:
  trivium bgp reset 192.0.2.1                      ends the session; it comes again by itself
  trivium bgp reset 192.0.2.1 --text 'new cable'
  trivium bgp reset 192.0.2.1 --soft refresh       asks the peer for everything again
  trivium bgp reset 192.0.2.1 --soft out           tells it everything again
${ASKED}`,
  dump: `
Examples:
  trivium bgp dump rib.mrt && bgpdump -m rib.mrt
  trivium bgp dump rib.mrt --socket /run/lab.sock

Exit status:
  0  written
  1  no speaker answers, or the file is there already or cannot be written
  2  the command line makes no sense
`,
} as const
