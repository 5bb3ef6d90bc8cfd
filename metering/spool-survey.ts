import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isId } from '../runtime/ids.ts'
import type { SpooledProducer } from './reconciliation.ts'
import { findNextFrame, parseSegmentName, readFrame } from './segment-format.ts'

/** Reads every spool under `directory` without touching it: which sequences are still there, by producer. */
export async function surveySpools(directory: string): Promise<SpooledProducer[]> {
  const producers = (await readdir(directory).catch(() => [])).filter((name) => isId('prd', name)).sort()
  const found: SpooledProducer[] = []
  for (const producer of producers) {
    const one = await surveyProducer(join(directory, producer), producer)
    if (one !== undefined) found.push(one)
  }
  return found
}

async function surveyProducer(directory: string, producer: string): Promise<SpooledProducer | undefined> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => parseSegmentName(name) !== undefined).sort()
  let first: number | undefined
  let last = 0
  for (const name of names) {
    // A segment may be deleted under our hands: its records are counted.
    const bytes = await readFile(join(directory, name)).catch(() => Buffer.alloc(0))
    for (let at: number | undefined = 0; at !== undefined; ) {
      const frame = readFrame(bytes, at)
      if (frame.state === 'frame') {
        first ??= frame.frame.firstSequence
        last = Math.max(last, frame.frame.firstSequence + frame.frame.count - 1)
        at = frame.end
      } else {
        at = findNextFrame(bytes, at)
      }
    }
  }
  return first === undefined ? undefined : { producer, first, last }
}
