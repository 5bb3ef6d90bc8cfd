import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { unpackWoff } from './woff.ts'

/** A face that a document can be set in, and the code points it has. */
type Face = { name: string; file: string; covers: (codePoint: number) => boolean }

export type Weight = 'regular' | 'bold'

/**
 * The fonts of documents, in order of preference: Noto Sans for the scripts it is drawn for, then Unifont, which has a glyph for
 * every character of the Basic Multilingual Plane (Chinese, Japanese and Korean among them), if a coarse one.
 */
const FAMILIES: readonly { family: string; subsets: readonly string[]; weights: boolean }[] = [
  {
    family: 'noto-sans',
    subsets: ['latin', 'latin-ext', 'greek', 'greek-ext', 'cyrillic', 'cyrillic-ext', 'vietnamese', 'devanagari'],
    weights: true,
  },
  { family: 'noto-sans-arabic', subsets: ['arabic'], weights: true },
  { family: 'noto-sans-hebrew', subsets: ['hebrew'], weights: true },
  { family: 'noto-sans-thai', subsets: ['thai'], weights: true },
]
const FALLBACK = { family: 'unifontex', subset: 'latin' }

const require = createRequire(import.meta.url)
let faces: Record<Weight, Face[]> | undefined

/** The name of the face that has all code points of `cluster`; the fallback when none has. */
export function chooseFace(cluster: string, weight: Weight): string {
  const codePoints = [...cluster].map((character) => character.codePointAt(0) ?? 0)
  const list = allFaces()[weight]
  const found = list.find((face) => codePoints.every((codePoint) => face.covers(codePoint)))
  return found?.name ?? list.at(-1)?.name ?? 'Helvetica'
}

const unpacked = new Map<string, Buffer>()

/** The font of a face, as OpenType; read once. */
export function readFace(name: string): Buffer {
  let font = unpacked.get(name)
  if (font === undefined) {
    font = unpackWoff(readFileSync(faceFile(name)))
    unpacked.set(name, font)
  }
  return font
}

function faceFile(name: string): string {
  const { regular, bold } = allFaces()
  const face = [...regular, ...bold].find((candidate) => candidate.name === name)
  if (face === undefined) throw new Error(`There is no face ${name}`)
  return face.file
}

function allFaces(): Record<Weight, Face[]> {
  faces ??= { regular: loadFaces(400), bold: loadFaces(700) }
  return faces
}

function loadFaces(weight: 400 | 700): Face[] {
  const named = FAMILIES.flatMap(({ family, subsets }) => {
    const ranges = readRanges(family)
    return subsets.map((subset) => ({
      name: `${family}-${subset}-${weight}`,
      file: fontFile(family, subset, weight),
      covers: coverage(ranges[subset] ?? ''),
    }))
  })
  const { family, subset } = FALLBACK
  return [...named, { name: family, file: fontFile(family, subset, 400), covers: () => true }]
}

function fontFile(family: string, subset: string, weight: number): string {
  return require.resolve(`@fontsource/${family}/files/${family}-${subset}-${weight}-normal.woff`)
}

function readRanges(family: string): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(require.resolve(`@fontsource/${family}/unicode.json`), 'utf8')) as Record<
    string,
    string
  >
}

/** Reads CSS `unicode-range` text: `U+0000-00FF,U+0131`. */
function coverage(ranges: string): (codePoint: number) => boolean {
  const spans = ranges.split(',').map((range) => {
    const [from = '', until = from] = range.trim().replace('U+', '').split('-')
    return [Number.parseInt(from, 16), Number.parseInt(until, 16)] as const
  })
  return (codePoint) => spans.some(([from, until]) => codePoint >= from && codePoint <= until)
}
