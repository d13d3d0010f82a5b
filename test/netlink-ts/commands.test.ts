/**
 * What ip, bridge and tc do, done by us: the kernel must look the same afterwards.
 */
import t from 'tap'
import { FDB_ROWS, VLAN_ROWS, VNI_ROWS } from './command-rows/bridges.ts'
import { ADDR_ROWS, LINK_ROWS } from './command-rows/links.ts'
import {
  NEIGH_ROWS,
  NEXTHOP_ROWS,
  QDISC_ROWS,
  ROUTE_ROWS,
  RULE_ROWS,
} from './command-rows/routes.ts'
import { compareRows } from './commands.ts'
import { notRoot } from './support.ts'

const groups = {
  links: LINK_ROWS,
  addresses: ADDR_ROWS,
  routes: ROUTE_ROWS,
  'nexthop objects': NEXTHOP_ROWS,
  rules: RULE_ROWS,
  neighbours: NEIGH_ROWS,
  'queueing disciplines': QDISC_ROWS,
  'forwarding entries': FDB_ROWS,
  'VNI filters': VNI_ROWS,
  'VLANs of bridge ports': VLAN_ROWS,
}

for (const [name, rows] of Object.entries(groups)) {
  t.test(name, { skip: notRoot }, (t) => compareRows(t, rows))
}
