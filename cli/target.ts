import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { CliFault, EXIT } from './fault.ts'
import { readProfiles } from './profile-store.ts'

/** Which platform, with which key, and who said so. A key is only ever sent to the address that it came with. */
export type Target = { url: string; key: string | undefined; source: string }

const endpointsSchema = z.object({ control: z.string(), platform_key: z.string() })

/**
 * Finds the platform: `--local`, `--profile`, the environment (`AERODB_CONTROL_URL` with `AERODB_PLATFORM_KEY`), the current
 * profile, the local platform that runs in this folder, in this order.
 * @throws CliFault that says what is missing.
 */
export async function findTarget(
  env: NodeJS.ProcessEnv,
  asked: { profile?: string | undefined; local?: boolean | undefined },
): Promise<Target> {
  if (asked.local === true) {
    const local = await readLocal(env)
    if (local === undefined)
      throw new CliFault(EXIT.usage, 'no_local_platform', 'No local platform runs here.', 'Start it with `npm run up`.')
    return local
  }
  const profile = asked.profile ?? set(env.AERODB_PROFILE)
  if (asked.profile === undefined) {
    const [url, key] = [set(env.AERODB_CONTROL_URL), set(env.AERODB_PLATFORM_KEY)]
    if (url !== undefined)
      return { url: readAddress(url), key: key === undefined ? undefined : readKey(key), source: 'the environment' }
    if (key !== undefined && profile === undefined) {
      const local = await readLocal(env)
      if (local !== undefined) return { ...local, key: readKey(key), source: `${local.source}, key of the environment` }
      const hint = 'A key is only sent to the address that it belongs to: set both.'
      throw new CliFault(EXIT.usage, 'no_address', 'AERODB_PLATFORM_KEY is set, but not AERODB_CONTROL_URL.', hint)
    }
  }
  const store = await readProfiles(env)
  const name = profile ?? store.current
  if (name !== null) {
    const found = Object.hasOwn(store.profiles, name) ? store.profiles[name] : undefined
    if (found !== undefined) return { ...found, source: `the profile ${name}` }
    if (profile !== undefined)
      throw new CliFault(EXIT.usage, 'no_profile', `There is no profile ${name}.`, 'See `aerodb profiles list`.')
  }
  const local = await readLocal(env)
  if (local !== undefined) return local
  throw new CliFault(
    EXIT.notAllowed,
    'no_credentials',
    'There is no platform to talk to.',
    'Run `aerodb login`, or set AERODB_CONTROL_URL and AERODB_PLATFORM_KEY, or start a platform here with `npm run up`.',
  )
}

/** An address of the platform API, without `/v1` and slashes at its end. */
export function readAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '')
    throw new CliFault(EXIT.usage, 'address_invalid', 'The address must be an http:// or https:// URL without a login.')
  return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1$/, '')
}

/** A platform key by its shape; its text is never repeated. */
export function readKey(text: string): string {
  const key = text.trim()
  if (!/^aero_platform_[A-Za-z0-9]+$/.test(key))
    throw new CliFault(EXIT.usage, 'key_invalid', 'This is no platform key: it begins with aero_platform_.')
  return key
}

async function readLocal(env: NodeJS.ProcessEnv): Promise<Target | undefined> {
  const path = resolve(set(env.AERODB_DATA_DIR) ?? '.aerodb', 'endpoints.json')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const { control, platform_key } = endpointsSchema.parse(JSON.parse(text))
    // Whoever wrote the file, a key does not leave this machine by it.
    if (!['127.0.0.1', '[::1]', 'localhost'].includes(new URL(control).hostname)) return undefined
    return { url: readAddress(control), key: readKey(platform_key), source: `the local platform (${path})` }
  } catch {
    return undefined
  }
}

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
