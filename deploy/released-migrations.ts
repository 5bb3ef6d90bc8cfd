import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const SERVICES = ['control', 'metering'] as const
const FILE = join(import.meta.dirname, 'released-migrations.json')

export type Migration = { name: string; sql: string; sha256: string }

/** Every migration, by `<service>/<name>`. */
export async function listMigrations(): Promise<Migration[]> {
  const found: Migration[] = []
  for (const service of SERVICES) {
    const directory = join(ROOT, service, 'migrations')
    for (const file of (await readdir(directory)).filter((one) => one.endsWith('.sql')).sort()) {
      const sql = await readFile(join(directory, file), 'utf8')
      const sha256 = createHash('sha256').update(sql).digest('hex')
      found.push({ name: `${service}/${file.slice(0, -4)}`, sql, sha256 })
    }
  }
  return found
}

/** The migrations that some release has brought to databases, with what they were: empty before the first release. */
export async function readReleased(): Promise<Record<string, string>> {
  return JSON.parse(await readFile(FILE, 'utf8')) as Record<string, string>
}

/** Notes all that there are as released. */
export async function noteReleased(): Promise<void> {
  const all = Object.fromEntries((await listMigrations()).map(({ name, sha256 }) => [name, sha256]))
  await writeFile(FILE, `${JSON.stringify(all, null, 2)}\n`)
}
