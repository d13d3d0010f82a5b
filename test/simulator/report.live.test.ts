/**
 * Reports as a reader sees them: in a real browser, on a wide screen and on a
 * narrow one, light and dark.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { htmlReport as roadsHtml } from '../../bench/dataplane/html.ts'
import { answer } from '../../simulator/capacity/answer.ts'
import { questionOf } from '../../simulator/capacity/question.ts'
import { modesNamed, planCompare, runCompare } from '../../simulator/compare.ts'
import { capacityHtml } from '../../simulator/report/capacity-html.ts'
import { compareHtml } from '../../simulator/report/compare-html.ts'
import { htmlReport } from '../../simulator/report/html.ts'
import { type RunResult, runScenario } from '../../simulator/run.ts'
import { parseScenario, type Scenario } from '../../simulator/scenario.ts'
import { otherSeeds } from '../../simulator/seeds.ts'
import { findings } from '../bench/dataplane-findings.ts'
import { type Browser, type Look, noBrowser, startBrowser } from '../support/browser.ts'
import { CONTRAST_COMPLAINTS, LAYOUT_COMPLAINTS, UNFOLD } from '../support/page-layout.ts'
import { inkOf, type Region, readPng } from '../support/png.ts'
import { timelineFixture } from './timeline-fixture.ts'

/** Browsers are slow where others work, too. */
t.setTimeout(600_000)

const LOOKS: readonly Look[] = [
  { width: 1280, theme: 'light' },
  { width: 1280, theme: 'dark' },
  { width: 400, theme: 'light' },
]

const ALL = ['vxlan', 'lightweight', 'direct', 'hosts', 'blocks', 'racks', 'contiguous', 'vlan']

function scenario(words: string): Scenario {
  const text = `
pools: [{ cidr: 10.42.0.0/16, blockLength: 29 }]
modes: [vxlan, route, { mode: route, announce: host }, vlan]
switch: { host: 64, lpm: 128, mac: 64 }
times: { podsPerSecond: 2000 }
${words}`
  return parseScenario(text, 'report.yaml')
}

const runAlone = (each: Scenario): RunResult => runScenario(each)
const origin = { text: 'nodes: 8 # <b>\n', command: 'trivium sim run report.yaml' }

function withTimeline(result: RunResult): RunResult {
  const modes = result.modes.map((mode, index) => ({
    ...mode,
    timeline: timelineFixture(1 - index * 0.2),
  }))
  return { ...result, modes }
}

/** Name and page. Small and big fabrics, of few and many modes, whole and broken. */
const PAGES: readonly (readonly [string, () => string])[] = [
  [
    'a run under three seeds',
    () => {
      const own = scenario('nodes: 12\npodsPerNode: 6\nracks: 4')
      return htmlReport(runScenario(own), origin, otherSeeds(own, 3).map(runAlone))
    },
  ],
  [
    'a run with faults',
    () =>
      htmlReport(
        withTimeline(runScenario(scenario('nodes: 12\npodsPerNode: 6\nracks: 4'))),
        origin,
      ),
  ],
  [
    'three tiers in two data centres',
    () => {
      const fabric = '{ kind: three-tier, groups: 3, dataCenters: 2, stretchVlan: true }'
      return htmlReport(
        runScenario(scenario(`nodes: 24\npodsPerNode: 6\nracks: 24\nfabric: ${fabric}`)),
        origin,
      )
    },
  ],
  [
    'a hundred racks',
    () =>
      htmlReport(
        runScenario(scenario('nodes: 100\nracks: 100\nspines: 16\npodsPerNode: 1')),
        origin,
      ),
  ],
  [
    'a comparison over nodes',
    () => {
      const plan = planCompare(
        scenario('nodes: 8\npodsPerNode: 6\nracks: 2'),
        modesNamed(ALL),
        [4, 8, 16],
      )
      return compareHtml(runCompare(plan), origin)
    },
  ],
  ['capacity', () => capacityHtml(answer(questionOf({})), 'trivium sim capacity')],
  ['the roads', roadsPage],
]

/** Every road, measured or not, with long whiskers. */
function roadsPage(): string {
  const known = findings({
    roads: { host: 1.1, reference: 1.5, classic: 3, lightweight: 2.5, route: 1.5, macvlan: 0.9 },
    mtuBytes: { classic: 1450, lightweight: 1464 },
    lacks: { vlan: 'this kernel has no 802.1Q', 'macvlan-tagged': 'this kernel has no 802.1Q' },
    othersBusy: 0.5,
    minute: (round, road) => 1 + ((round * 7 + road.length) % 5) / 5,
  })
  const machine = { machine: '2 x Any Processor, 24 GiB', kernel: '6.18', node: 'v20' }
  const command = 'npm run bench -- dataplane --html roads.html'
  return roadsHtml(known, { command, date: '2026-11-22', machine })
}

t.test('reports in a browser', { skip: noBrowser ?? false, timeout: 600_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trivium-report-'))
  const browser = await startBrowser()
  t.teardown(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const [index, [name, make]] of PAGES.entries()) {
    const file = join(folder, `${index}.html`)
    const html = make()
    writeFileSync(file, html)
    for (const look of LOOKS) {
      await t.test(`${name}, ${look.width} px, ${look.theme}`, { timeout: 120_000 }, (t) =>
        looksRight(t, browser, file, look),
      )
    }
  }
})

/** Where plots are on the page. */
const PLOTS = `[...document.querySelectorAll('.plot')].map((each) => {
  const { x, y, width, height } = each.getBoundingClientRect()
  return { x: x + scrollX, y: y + scrollY, width, height }
})`

async function looksRight(t: Test, browser: Browser, file: string, look: Look): Promise<void> {
  const page = await browser.open(file, look)
  await page.evaluate(UNFOLD)
  t.strictSame(
    await page.evaluate(LAYOUT_COMPLAINTS),
    [],
    'words are inside, apart and large enough',
  )
  t.strictSame(await page.evaluate(CONTRAST_COMPLAINTS), [], 'words stand out')
  t.strictSame(page.requests, [], 'nothing from elsewhere')
  t.strictSame(page.complaints, [], 'nothing on the console')
  const whole = readPng(await page.screenshot())
  t.equal(whole.width, look.width)
  const ink = inkOf(whole)
  t.ok(ink.share > 0.02 && ink.colors > 20, 'the page is not blank', ink)
  const plots = await page.evaluate<readonly Region[]>(PLOTS)
  for (const [index, region] of plots.entries()) {
    const { share, colors } = inkOf(whole, region)
    t.ok(share > 0.005 && colors > 8, `plot ${index} has ink`, { share, colors })
  }
  await page.close()
}
