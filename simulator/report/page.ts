/**
 * The page around a report: style, cards, tables. No script, no font, no picture
 * from elsewhere, and a policy that says so to the browser. It follows the
 * reader's light or dark theme.
 *
 * @module
 */

/** What a report says of where it came from. */
export interface Origin {
  /** The scenario file as it was read. */
  readonly text: string
  /** The command that makes the same report again. */
  readonly command: string
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'"

const STYLE = `
:root{--ink:#1b2430;--faint:#5c6a7a;--grid:#e3e8ee;--page:#f6f8fa;--card:#fff;--limit:#b3261e;--good:#0b6b4f;--warn:#8a5a00;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf1;--faint:#9aa8b8;--grid:#2c3744;--page:#10161d;--card:#18212b;--limit:#ff8a80;--good:#5fd0a5;--warn:#f0c060}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1020px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px}h2{font-size:19px;margin:0 0 4px}
p{margin:0 0 12px;overflow-wrap:anywhere}.about{color:var(--faint);max-width:70ch}.answer{font-size:18px;max-width:75ch;margin:14px 0}
.card{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:22px 26px;margin:20px 0}
.hint{color:var(--faint);font-size:14px;margin-bottom:14px}
.verdicts{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:14px;margin:24px 0 8px}
.verdict{background:var(--card);border:1px solid var(--grid);border-top:5px solid var(--hue);border-radius:12px;padding:14px 18px}
.verdict b{display:block;font-size:17px}.verdict strong{display:block;font-size:15px;margin:2px 0 4px}.verdict span{font-size:14px;color:var(--faint)}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--limit)}
.plot{overflow-x:auto}.plot svg{display:block;width:100%;min-width:860px;height:auto}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--faint);font-weight:600;border-bottom:2px solid var(--grid);padding:6px 14px 6px 0;white-space:nowrap}
td{border-bottom:1px solid var(--grid);padding:5px 14px 5px 0;white-space:nowrap}
td.best{color:var(--good)}
.wrap td{white-space:normal}.wrap td.n{white-space:nowrap}
.dense{font-size:13px}.dense th{white-space:normal;vertical-align:bottom}.dense th,.dense td{padding-right:8px}.dense td:first-child{min-width:60px}
td.best::before{content:"\\2713\\a0"}
.n{text-align:right}tr.first td{border-top:2px solid var(--grid)}tr.group td{font-weight:600;padding-top:16px;color:var(--faint)}
details{margin:10px 0}summary{cursor:pointer;font-weight:600;padding:4px 0}
pre{background:var(--page);border:1px solid var(--grid);border-radius:8px;padding:14px 16px;overflow-x:auto;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:8px 0 14px}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em;overflow-wrap:anywhere}
@media (max-width:600px){main{padding:24px 12px 40px}.card{padding:16px 14px}h1{font-size:24px}}
`

/** @param body HTML. @param maker What made it, behind the title. */
export function page(title: string, body: readonly string[], maker = 'trivium sim'): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${quoted(title)} - ${maker}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body.filter((part) => part !== '').join('\n')}
</main>
</body>
</html>
`
}

export const card = (title: string, hint: string, body: string): string =>
  `<section class="card"><h2>${title}</h2><p class="hint">${hint}</p>${body}</section>`

/** An SVG that scrolls where it would become too small to read. */
export const plot = (svg: string): string => `<div class="plot">${svg}</div>`

/** A head that starts with a plus leans to the right, with its cells. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  style = '',
): string {
  const side = (index: number): string =>
    heads[index]?.startsWith('+') === true ? ' class="n"' : ''
  const cells = (row: readonly string[], tag: string): string =>
    row.map((cell, index) => `<${tag}${side(index)}>${cell}</${tag}>`).join('')
  const head = cells(
    heads.map((title) => title.replace(/^\+/, '')),
    'th',
  )
  const body = rows.map(
    (row) => `<tr${row[0] === '' ? '' : ' class="first"'}>${cells(row, 'td')}</tr>`,
  )
  return `<div class="scroll"><table class="${style}"><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`
}

/** The command and the file that make the report again. */
export function reproduction(hint: string, { command, text }: Origin, more = ''): string {
  const body = `<pre>${quoted(command)}</pre>\n<pre>${quoted(text.trimEnd())}</pre>\n${more}`
  return card('Reproduce it', hint, body)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

/** As it is, to be copied. */
export const quoted = (text: string): string =>
  text.replace(/[&<>"]/g, (mark) => ENTITIES[mark] ?? mark)

/** For reading: a number stays in one line. */
export const escaped = (text: string): string =>
  quoted(text).replace(/(?<=\d) (?=\d{3}|%)/g, '&nbsp;')
