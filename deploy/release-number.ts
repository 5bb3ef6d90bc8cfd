import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The number of the release that runs, as `package.json` has it. */
export async function readRelease(): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '..', 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
