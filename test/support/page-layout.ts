/**
 * What is wrong with how a page of reports is laid out, as an expression for the
 * browser: its answer is a list of complaints.
 */

/** Smallest letters that can be read, in CSS pixels. */
const FONT_MIN = 9.5

/** Everything that is folded is unfolded first. */
export const UNFOLD = `document.querySelectorAll('details').forEach((each) => { each.open = true })`

export const LAYOUT_COMPLAINTS = `(() => {
  const complaints = []
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth) complaints.push('the page is ' + root.scrollWidth + ' wide')
  const room = 1
  for (const [index, svg] of [...document.querySelectorAll('svg')].entries()) {
    const frame = svg.getBoundingClientRect()
    const scale = frame.width / svg.viewBox.baseVal.width
    const texts = [...svg.querySelectorAll('text')].filter((each) => each.textContent.trim() !== '')
    const boxes = texts.map((each) => each.getBoundingClientRect())
    const say = (text, what) => complaints.push('svg ' + index + ': "' + text.textContent + '" ' + what)
    for (const [at, box] of boxes.entries()) {
      const out = box.left < frame.left - room || box.right > frame.right + room ||
        box.top < frame.top - room || box.bottom > frame.bottom + room
      if (out) say(texts[at], 'is outside')
      const size = parseFloat(getComputedStyle(texts[at]).fontSize) * scale
      if (size < ${FONT_MIN}) say(texts[at], 'has letters of ' + size.toFixed(1) + ' px')
      for (let other = at + 1; other < boxes.length; other++) {
        const two = boxes[other]
        const wide = Math.min(box.right, two.right) - Math.max(box.left, two.left)
        const high = Math.min(box.bottom, two.bottom) - Math.max(box.top, two.top)
        // Boxes of lines below each other touch; letters do not.
        if (wide > 1 && high > 4) say(texts[at], 'meets "' + texts[other].textContent + '"')
      }
    }
  }
  return complaints
})()`

/** Rows of words and what is behind them, for contrast: WCAG 2.1, success criterion 1.4.3. */
export const CONTRAST_COMPLAINTS = `(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((value) => {
      const share = value / 255
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const card = getComputedStyle(document.querySelector('.card')).backgroundColor
  const complaints = []
  for (const name of ['--ink', '--faint', '--limit', '--good', '--warn']) {
    const probe = document.createElement('i')
    probe.style.color = 'var(' + name + ')'
    document.body.append(probe)
    const [a, b] = [light(getComputedStyle(probe).color), light(card)].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) complaints.push(name + ': ' + ratio.toFixed(1))
    probe.remove()
  }
  return complaints
})()`
