import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { CliFault, EXIT } from './fault.ts'

const storeSchema = z.object({
  version: z.literal(1),
  current: z.string().nullable(),
  profiles: z.record(z.string(), z.object({ url: z.string(), key: z.string() })),
})
export type ProfileStore = z.output<typeof storeSchema>

/** `$XDG_CONFIG_HOME/aerodb/profiles.json` (XDG Base Directory Specification). */
export function profilePath(env: NodeJS.ProcessEnv): string {
  const base = env.XDG_CONFIG_HOME
  // A relative path is to be ignored, says the specification.
  return join(base?.startsWith('/') === true ? base : join(homedir(), '.config'), 'aerodb', 'profiles.json')
}

/** @throws CliFault when others may read the file, or when it is none of ours. */
export async function readProfiles(env: NodeJS.ProcessEnv): Promise<ProfileStore> {
  const path = profilePath(env)
  const text = await readFile(path, 'utf8').catch((fault: NodeJS.ErrnoException) => {
    if (fault.code === 'ENOENT') return undefined
    throw fault
  })
  if (text === undefined) return { version: 1, current: null, profiles: {} }
  if (((await stat(path)).mode & 0o077) !== 0)
    throw new CliFault(EXIT.usage, 'profiles_readable', `Others may read ${path}.`, `chmod 600 ${path}`)
  try {
    return storeSchema.parse(JSON.parse(text))
  } catch {
    throw new CliFault(EXIT.usage, 'profiles_damaged', `${path} cannot be read as profiles.`)
  }
}

/** Replaces the file in one step; it is readable by its owner only from its first byte on. */
export async function writeProfiles(env: NodeJS.ProcessEnv, store: ProfileStore): Promise<void> {
  const path = profilePath(env)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, `${JSON.stringify(store, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await rename(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
}
