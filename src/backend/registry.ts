/**
 * The three roads by name, and the lack of one. Adding one is a folder and a line here.
 *
 * @module
 */
import type { Mode } from '../cluster/view.ts'
import type { Backend } from './backend.ts'
import { ipam } from './ipam/plan.ts'
import { route } from './route/plan.ts'
import { vlan } from './vlan/plan.ts'
import { vxlan } from './vxlan/plan.ts'

export const backends: Readonly<Record<Mode, Backend>> = { vxlan, route, vlan, ipam }
