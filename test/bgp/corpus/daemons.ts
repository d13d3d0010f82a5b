/** Configurations of the daemons whose messages are recorded: one peer, 192.0.2.1, and routes with every attribute each can set. */

export interface Daemon {
  readonly name: string
  readonly asn: number
  /** Text of the configuration, for our AS number. */
  readonly config: (ourAsn: number) => string
  /** The command, given the configuration's path and a folder for its sockets. */
  readonly command: (config: string, folder: string) => readonly string[]
  /** Commands to run once it is up. */
  readonly after?: readonly (readonly string[])[]
}

const bird: Daemon = {
  name: 'bird',
  asn: 65010,
  config: (ourAsn) => `router id 192.0.2.10;
protocol device {}
filter rich {
  if net ~ [10.10.0.0/16{17,24}] then accept;
  bgp_path.prepend(4200000000); bgp_path.prepend(65010);
  bgp_community.add((65010,100)); bgp_community.add((65535,65281));
  bgp_ext_community.add((rt, 65010, 100));
  bgp_large_community.add((65010, 1, 2)); bgp_large_community.add((65010, 1, 1));
  bgp_med = 50;
  accept;
}
protocol static s4 { ipv4; route 10.10.0.0/16 blackhole; route 10.10.3.0/24 blackhole; route 0.0.0.0/0 blackhole; route 10.10.77.128/25 blackhole; }
protocol static s6 { ipv6; route 2001:db8:10::/48 blackhole; route ::/0 blackhole; route 2001:db8:10:3::/64 blackhole; }
protocol bgp p {
  local 192.0.2.10 as ${ourAsn === 65001 ? 65010 : ourAsn};
  neighbor 192.0.2.1 as ${ourAsn};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  graceful restart on; enable extended messages on;
  ipv4 { import all; export filter rich; add paths on; extended next hop on; };
  ipv6 { import all; export filter rich; add paths on; next hop address 2001:db8:1::10; };
}
`,
  command: (config, folder) => ['bird', '-f', '-c', config, '-s', `${folder}/bird.ctl`],
}

const frr: Daemon = {
  name: 'frr',
  asn: 65011,
  config: (ourAsn) => `hostname frr-recorded
router bgp ${ourAsn === 65001 ? 65011 : ourAsn}
 bgp router-id 192.0.2.10
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp graceful-restart
 neighbor 192.0.2.1 remote-as ${ourAsn}
 neighbor 192.0.2.1 timers connect 1
 neighbor 192.0.2.1 advertisement-interval 0
 neighbor 192.0.2.1 capability extended-nexthop
 address-family ipv4 unicast
  network 10.11.0.0/16 route-map rich
  network 10.11.3.0/24
  network 10.11.5.0/24
  aggregate-address 10.11.4.0/22
  neighbor 192.0.2.1 addpath-tx-all-paths
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:11::/48 route-map rich
  network 2001:db8:11:3::/64
  neighbor 192.0.2.1 activate
 exit-address-family
route-map rich permit 10
 set community 65011:100 no-export
 set large-community 65011:1:2
 set extcommunity rt 65011:100
 set metric 20
 set as-path prepend 4200000000
 set origin incomplete
`,
  command: (config, folder) =>
    `/usr/lib/frr/bgpd -Z -S -u root -g root -f ${config} -i ${folder}/bgpd.pid --vty_socket ${folder} -P 0`.split(
      ' ',
    ),
}

const RICH = [
  ...['aspath', '65012,4200000000,{65020,65021}', 'community', '65012:100,65535:65281'],
  ...['large-community', '65012:1:2', 'med', '10', 'origin', 'egp', 'rt', '65012:100'],
  ...['aggregator', '65012:192.0.2.10'],
]

const gobgp: Daemon = {
  name: 'gobgp',
  asn: 65012,
  config: (ourAsn) => `[global.config]
as = ${ourAsn === 65001 ? 65012 : ourAsn}
router-id = "192.0.2.10"
[[neighbors]]
[neighbors.config]
neighbor-address = "192.0.2.1"
peer-as = ${ourAsn}
[neighbors.timers.config]
connect-retry = 1
[neighbors.graceful-restart.config]
enabled = true
restart-time = 120
${['ipv4', 'ipv6']
  .map(
    (family) => `[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "${family}-unicast"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = true
[neighbors.afi-safis.add-paths.config]
receive = true
send-max = 4
`,
  )
  .join('')}`,
  command: (config) => ['gobgpd', '-f', config, '-p', '--log-level', 'warn'],
  after: [
    ['gobgp', 'global', 'rib', 'add', '10.12.0.0/16', 'nexthop', '192.0.2.10', ...RICH],
    ['gobgp', 'global', 'rib', 'add', '10.12.3.0/24', 'nexthop', '192.0.2.10'],
    [
      ...['gobgp', 'global', 'rib', '-a', 'ipv6', 'add', '2001:db8:12::/48'],
      ...['nexthop', '2001:db8:1::10', 'community', '65012:100'],
    ],
    ['gobgp', 'global', 'rib', 'del', '10.12.3.0/24'],
  ],
}

const exabgp: Daemon = {
  name: 'exabgp',
  asn: 65013,
  config: (ourAsn) => `neighbor 192.0.2.1 {
  router-id 192.0.2.10; local-address 192.0.2.10;
  local-as ${ourAsn === 65001 ? 65013 : ourAsn}; peer-as ${ourAsn}; hold-time 180; group-updates true;
  capability { graceful-restart 60; add-path send/receive; route-refresh enable; }
  family { ipv4 unicast; ipv6 unicast; }
  static {
    route 10.13.0.0/16 next-hop 192.0.2.10 origin egp as-path [ 65013 4200000000 ] med 5 local-preference 150 community [ 65013:100 no-export ] large-community [ 65013:1:2 ] extended-community [ target:65013:1 origin:65013:2 ] atomic-aggregate aggregator ( 65013:192.0.2.10 ) ;
    route 10.13.3.0/24 next-hop 192.0.2.10;
    route 10.13.4.0/24 next-hop 192.0.2.10;
    route 10.13.9.0/24 next-hop 192.0.2.10 originator-id 192.0.2.9 cluster-list [ 192.0.2.8 192.0.2.7 ] attribute [ 0x63 0xc0 0x01020304 ];
    route 2001:db8:13::/48 next-hop 2001:db8:1::10 community 65013:100;
    route 2001:db8:13:3::/64 next-hop 2001:db8:1::10;
  }
}
`,
  command: (config) => ['exabgp', config],
}

export const DAEMONS: readonly Daemon[] = [bird, frr, gobgp, exabgp]
