import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The number of the release that runs, as `package.json` has it. */
export async function readRelease(): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '..', 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** True when the release `version` is `oldest` or came after it. Both are `major.minor.patch`; what follows is not compared. */
export function isReleaseSince(version: string, oldest: string): boolean {
  const [own, other] = [parts(version), parts(oldest)]
  const at = own.findIndex((part, index) => part !== other[index])
  return at < 0 || (own[at] ?? 0) > (other[at] ?? 0)
}

function parts(version: string): number[] {
  const match = version.match(/^(\d+)\.(\d+)\.(\d+)/)
  if (match === null) throw new Error(`"${version}" is not the number of a release`)
  return match.slice(1).map(Number)
}
