import { createRequire } from 'node:module'
import type { Bidi } from 'bidi-js'
import { chooseFace, readFace, type Weight } from './pdf-fonts.ts'

// A CommonJS module whose types describe an ES module: required, it is what its types say.
const makeBidi = createRequire(import.meta.url)('bidi-js') as () => Bidi
const bidi = makeBidi()
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })
const words = new Intl.Segmenter('und', { granularity: 'word' })

export type TextStyle = { size: number; weight?: Weight; color?: string; align?: 'left' | 'right' }

type Run = { text: string; face: string; level: number }

/**
 * Text in any language on a PDF page: each run in a face that has its characters, right-to-left scripts in visual order
 * (UAX #9), lines broken between words. Coordinates are points from the page's upper left corner.
 */
export class TextPainter {
  readonly #doc: PDFKit.PDFDocument
  readonly #registered = new Set<string>()

  constructor(doc: PDFKit.PDFDocument) {
    this.#doc = doc
  }

  /** Draws `text` in a column of `width`, over as many lines as it takes. @returns the height it took. */
  draw(text: string, x: number, y: number, width: number, style: TextStyle): number {
    const lines = this.wrap(text, width, style)
    for (const [i, line] of lines.entries()) this.#drawLine(line, x, y + i * lineHeight(style), width, style)
    return lines.length * lineHeight(style)
  }

  /** The height that `draw` would take. */
  heightOf(text: string, width: number, style: TextStyle): number {
    return this.wrap(text, width, style).length * lineHeight(style)
  }

  /** Breaks text into lines that fit: between words, and inside a word that is wider than the column. */
  wrap(text: string, width: number, style: TextStyle): string[] {
    const lines: string[] = []
    for (const paragraph of text.split(/\r\n|\r|\n/)) {
      let line = ''
      for (const { segment } of words.segment(printable(paragraph))) {
        if (this.#widthOf(line + segment, style) <= width) {
          line += segment
          continue
        }
        if (line.trim() !== '') lines.push(line.trimEnd())
        line = segment.trimStart()
        while (this.#widthOf(line, style) > width && line.length > 1) {
          const part = this.#longestPrefix(line, width, style)
          lines.push(part)
          line = line.slice(part.length)
        }
      }
      lines.push(line.trimEnd())
    }
    return lines
  }

  #longestPrefix(text: string, width: number, style: TextStyle): string {
    let prefix = ''
    for (const { segment } of graphemes.segment(text)) {
      if (prefix !== '' && this.#widthOf(prefix + segment, style) > width) break
      prefix += segment
    }
    return prefix
  }

  #drawLine(line: string, x: number, y: number, width: number, style: TextStyle): void {
    const runs = visualOrder(splitRuns(line, style.weight ?? 'regular'))
    const rightAligned = style.align === 'right'
    let at = rightAligned ? x + width - this.#widthOf(line, style) : x
    this.#doc.fillColor(style.color ?? '#1a1a1a')
    for (const run of runs) {
      this.#use(run.face, style.size)
      // Faces differ in their ascent: they are set on one baseline.
      this.#doc.text(run.text, at, y + style.size, { lineBreak: false, baseline: 'alphabetic' })
      at += this.#doc.widthOfString(run.text)
    }
  }

  #widthOf(line: string, style: TextStyle): number {
    let width = 0
    for (const run of splitRuns(line, style.weight ?? 'regular')) {
      this.#use(run.face, style.size)
      width += this.#doc.widthOfString(run.text)
    }
    return width
  }

  #use(face: string, size: number): void {
    if (!this.#registered.has(face)) this.#doc.registerFont(face, readFace(face))
    this.#registered.add(face)
    this.#doc.font(face, size)
  }
}

function lineHeight(style: TextStyle): number {
  return style.size * 1.4
}

/** Control characters and direction overrides print as nothing: a name must not rearrange the page around it. */
function printable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\t', ' ')
    .replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
}

/** Runs of one face and one direction, in logical order. */
function splitRuns(line: string, weight: Weight): Run[] {
  const { levels } = bidi.getEmbeddingLevels(line)
  const runs: Run[] = []
  for (const { segment, index } of graphemes.segment(line)) {
    const level = levels[index] ?? 0
    const last = runs.at(-1)
    // Blanks and points go with what stands before them where its face has them too.
    const face = chooseFace(segment, weight)
    if (last !== undefined && last.level === level && last.face === face) last.text += segment
    else runs.push({ text: segment, face, level })
  }
  return runs
}

/** Rule L2 of UAX #9, run by run; within a run the font's own layout orders the glyphs. */
function visualOrder(runs: readonly Run[]): Run[] {
  const order = [...runs]
  const levels = order.map((run) => run.level)
  const highest = Math.max(0, ...levels)
  for (let level = highest; level >= 1; level--) {
    for (let from = 0; from < order.length; from++) {
      if ((order[from]?.level ?? 0) < level) continue
      let until = from
      while (until < order.length && (order[until]?.level ?? 0) >= level) until++
      order.splice(from, until - from, ...order.slice(from, until).reverse())
      from = until
    }
  }
  return order
}
