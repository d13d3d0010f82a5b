/**
 * The metrics of a speaker, as a scraper reads them.
 */
import t from 'tap'
import { bgpFamilies } from '../../src/metrics/bgp.ts'
import { renderMetrics } from '../../src/metrics/text.ts'

const rack = { address: '192.0.2.1', asn: 65001, messagesIn: 7, messagesOut: 5 }

t.test('peers, routes and BFD', async (t) => {
  const text = renderMetrics(
    bgpFamilies({
      peers: [
        { ...rack, isEstablished: true, establishments: 2, paths: { ipv4: 3 }, isBfdUp: true },
        { ...rack, address: '192.0.2.2', isEstablished: false, establishments: 0, paths: {} },
      ],
      downs: 1,
      routes: { ipv4: 3, ipv6: 0 },
      failed: 0,
      stale: 2,
    }),
  )
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  t.strictSame(
    lines.filter((line) => line.includes('192.0.2.1"')),
    [
      'trivium_bgp_peer_established{peer="192.0.2.1",asn="65001"} 1',
      'trivium_bgp_peer_paths{peer="192.0.2.1",asn="65001",family="ipv4"} 3',
      'trivium_bgp_peer_establishments_total{peer="192.0.2.1",asn="65001"} 2',
      'trivium_bgp_peer_messages_total{peer="192.0.2.1",asn="65001",direction="in"} 7',
      'trivium_bgp_peer_messages_total{peer="192.0.2.1",asn="65001",direction="out"} 5',
      'trivium_bgp_peer_bfd_up{peer="192.0.2.1",asn="65001"} 1',
    ],
  )
  t.notOk(lines.some((line) => line.startsWith('trivium_bgp_peer_bfd_up{peer="192.0.2.2"')))
  for (const line of [
    'trivium_bgp_peers 2',
    'trivium_bgp_peers_established 1',
    'trivium_bgp_sessions_ended_total 1',
    'trivium_bgp_routes{family="ipv4"} 3',
    'trivium_bgp_routes_stale 2',
  ]) {
    t.ok(lines.includes(line), line)
  }
})
