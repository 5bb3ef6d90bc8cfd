import { readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError, readConfig, secretList, urlList } from '../../runtime/config.ts'
import { Sealer } from '../../runtime/seal.ts'
import { Remedy } from '../remedy.ts'

const folderList = z
  .string()
  .transform((value) => value.split(',').map((part) => resolve(part.trim())))
  .refine((paths) => new Set(paths.map((path) => basename(path))).size === paths.length, {
    message: 'must be folders whose last parts differ',
  })

const schema = z.object({
  AERODB_DATA_DIR: z.string().min(1).default('.aerodb'),
  /** Where services have a data directory each: all of this machine. */
  AERODB_BACKUP_DATA_DIRS: folderList.optional(),
  AERODB_DATABASE_URL: urlList('postgres:', 'postgresql:').optional(),
  AERODB_SHARED_DATABASE_URLS: urlList('postgres:', 'postgresql:').optional(),
  AERODB_ENCRYPTION_KEYS: secretList.optional(),
})

export type Places = {
  /** Data directories of this machine. */
  folders: readonly string[]
  encryptionKeys: readonly string[] | undefined
}

/** What is backed up, and from where. */
export type Sources = Places & { metadataUrl: string; sharedUrls: readonly string[] }

/** The data directories, and the encryption keys where the environment has them. @throws ConfigError */
export function readPlaces(env: Readonly<Record<string, string | undefined>> = process.env): Places {
  const config = readConfig(schema, env)
  return {
    folders: config.AERODB_BACKUP_DATA_DIRS ?? [resolve(config.AERODB_DATA_DIR)],
    encryptionKeys: config.AERODB_ENCRYPTION_KEYS,
  }
}

/**
 * Also where the databases are: by the environment, else those of the platform that runs on the data directory.
 * @throws ConfigError, and Remedy when nobody tells.
 */
export async function readSources(env: Readonly<Record<string, string | undefined>> = process.env): Promise<Sources> {
  const places = readPlaces(env)
  const config = readConfig(schema, env)
  const running = await Promise.all(places.folders.map(readRunning))
  const endpoints = running.find((one) => one !== undefined)
  const metadataUrl = config.AERODB_DATABASE_URL?.[0] ?? endpoints?.metadata_database_url
  const sharedUrls = config.AERODB_SHARED_DATABASE_URLS ?? endpoints?.shared_database_urls
  if (metadataUrl === undefined || sharedUrls === undefined)
    throw new Remedy(
      `No platform runs on ${places.folders.join(', ')}, and its databases are not named.`,
      'Start it (npm run up), name its databases (AERODB_DATABASE_URL, AERODB_SHARED_DATABASE_URLS), or copy the data directory while it stands still: docs/operations/backup.md',
    )
  return { ...places, metadataUrl, sharedUrls }
}

/** The name of the key that seals, from the environment or from a data directory's (or backup's) secrets. */
export function encryptionKeyId(keys: readonly string[] | undefined, secretsText: string | undefined): string | null {
  if (keys !== undefined) return new Sealer(keys).currentKeyId
  if (secretsText === undefined) return null
  const secrets = z.object({ encryption_key: z.string() }).safeParse(JSON.parse(secretsText))
  if (!secrets.success) throw new ConfigError(['secrets.json: has no encryption_key'])
  return new Sealer([secrets.data.encryption_key]).currentKeyId
}

const endpointsSchema = z.object({ metadata_database_url: z.string(), shared_database_urls: z.array(z.string()) })

async function readRunning(folder: string): Promise<z.output<typeof endpointsSchema> | undefined> {
  const text = await readFile(join(folder, 'endpoints.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : endpointsSchema.parse(JSON.parse(text))
}
