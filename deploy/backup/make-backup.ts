import { mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { readRelease } from '../../runtime/release.ts'
import { Remedy } from '../remedy.ts'
import { writeArchive } from './archive.ts'
import { encryptionKeyId, type Sources } from './backup-config.ts'
import { connectForBackup, readServerFacts, type ServerFacts, streamBaseBackup } from './base-backup.ts'
import { copyFolder } from './copy-folder.ts'
import { flushFolders } from './copy-tree.ts'
import { beginBackup, listBackups, nameBackup } from './generations.ts'
import { MANIFEST_FILE, MANIFEST_FORMAT, type Manifest, readManifest } from './manifest.ts'
import { differenceOf, readPlacement, waitUntilSettled, withMetadata } from './placement.ts'

/** So often a backup is begun again because a tenant moved or a cluster failed over under it. */
const TRIES = 3

export type BackupOptions = {
  sources: Sources
  /** The folder that backups lie in; each gets one of its own there. */
  to: string
  withSecrets: boolean
  /** How long moves of tenants are waited for. */
  waitMs: number
  nowMs: () => number
  onStep: (text: string) => void
}

/*
 * The order matters, as the parts are copied one after the other:
 *
 *   1. spools     usage that is not in the ledger yet. Before the ledger: what is counted in between is in the ledger.
 *   2. files      a first time, so that none is missed that is removed later.
 *   3. metadata   with the ledger: which tenants there are, and where.
 *   4. servers    of the shared tier that are others than 3, and tenants' own. After 3: what 3 knows is there.
 *   5. files      what came meanwhile: rows of 4 name them.
 *      spools     so that they reach as far as the ledger: a writer's end comes after all that it wrote.
 *
 * Each server is consistent in itself and holds all that was committed before its copy began. That a tenant's rows went
 * from one server to another in between is noticed at the end, and begins it all again.
 */

/**
 * Makes a backup of the platform that serves. @returns the folder of it.
 * @throws Remedy with what the operator can do about it; nothing is left then.
 */
export async function makeBackup(options: BackupOptions): Promise<string> {
  const startedMs = options.nowMs()
  const target = await beginBackup(options.to, nameBackup(startedMs))
  try {
    await withMetadata(options.sources.metadataUrl, async (metadata) => {
      for (let tries = 1; ; tries++) {
        const before = await waitUntilSettled(metadata, options.waitMs)
        await copyAll(options, target.path, metadata, startedMs)
        const difference = differenceOf(before, await readPlacement(metadata))
        if (difference === undefined) return
        if (tries === TRIES)
          throw new Remedy(
            `The platform changed under each of ${TRIES} tries: at last ${difference}.`,
            'Try again later.',
          )
        options.onStep(`again, because ${difference}`)
        await rm(target.path, { recursive: true })
        await mkdir(target.path, { mode: 0o700 })
      }
    })
    await flushFolders(target.path)
    return await target.finish()
  } catch (fault) {
    await target.discard()
    throw fault
  }
}

async function copyAll(options: BackupOptions, path: string, metadata: pg.Client, startedMs: number): Promise<void> {
  const { sources, onStep } = options
  const earlier = await findEarlier(options.to)
  const folders = []
  for (const [index, folder] of sources.folders.entries())
    folders.push(await copyFolder({ ...options, folder, index, path, metadata, earlier }))

  onStep('spools')
  for (const folder of folders) await folder.copySpool()
  onStep('files')
  for (const folder of folders) await folder.copyFiles()
  const servers = await copyServers(options, path)
  onStep("tenants' own servers")
  for (const folder of folders) await folder.copyTenants()
  onStep('what came meanwhile')
  for (const folder of folders) {
    await folder.copyFiles()
    await folder.copySpool()
  }

  const entries: Manifest['folders'] = []
  for (const folder of folders) entries.push(await folder.finish())
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    backup: nameBackup(startedMs),
    release: await readRelease(),
    started_at: new Date(startedMs).toISOString(),
    finished_at: new Date(options.nowMs()).toISOString(),
    encryption_key_id: encryptionKeyId(sources.encryptionKeys, await readSecrets(sources.folders)),
    servers,
    folders: entries,
  }
  await writeFile(join(path, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true })
}

/** The server of the metadata first. Addresses that lead to the same server are copied once. */
async function copyServers({ sources, onStep }: BackupOptions, path: string): Promise<Manifest['servers']> {
  await mkdir(join(path, 'servers'), { mode: 0o700 })
  const copied: Manifest['servers'] = []
  const urls = [
    { use: 'metadata' as const, url: sources.metadataUrl },
    ...sources.sharedUrls.map((url) => ({ use: 'shared' as const, url })),
  ]
  for (const { use, url } of urls) {
    const client = await connectServer(url)
    try {
      const facts = await readServerFacts(client)
      const known = copied.find(({ identity }) => identity === facts.identity)
      if (known !== undefined) {
        if (!known.uses.includes(use)) known.uses.push(use)
        continue
      }
      onStep(`the ${use === 'metadata' ? 'server of metadata and ledger' : 'shared server'} ${hostOf(url)}`)
      const file = `servers/${copied.length}.tar.zst`
      const sealed = await writeArchive(await streamBaseBackup(client), join(path, file))
      const embedded = await isEmbedded(facts, url, sources.folders)
      copied.push({ file, identity: facts.identity, version_num: facts.versionNum, uses: [use], embedded, ...sealed })
    } catch (fault) {
      if ((fault as { code?: unknown }).code === '42501')
        throw new Remedy(
          `The login of ${hostOf(url)} may not copy the server: ${(fault as Error).message}`,
          'Name a superuser or a role with REPLICATION, or back these databases up by what their provider has for it.',
        )
      throw fault
    } finally {
      await client.end().catch(() => {})
    }
  }
  return copied
}

async function connectServer(url: string): Promise<pg.Client> {
  try {
    return await connectForBackup({ connectionString: url })
  } catch (fault) {
    throw new Remedy(
      `The server ${hostOf(url)} cannot be reached: ${(fault as Error).message}`,
      'Start it; its pg_hba.conf must admit this login to its database from this machine.',
    )
  }
}

function hostOf(url: string): string {
  return new URL(url).host
}

/** The platform's own server lies in a data directory of this machine. */
async function isEmbedded(facts: ServerFacts, url: string, folders: readonly string[]): Promise<boolean> {
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname)) return false
  for (const folder of folders) {
    const own = await realpath(join(folder, 'postgres')).catch(() => undefined)
    if (own !== undefined && own === facts.dataDirectory) return true
  }
  return false
}

async function readSecrets(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const text = await readFile(join(folder, 'secrets.json'), 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  return undefined
}

/** The youngest whole backup in the folder: files that it has are shared with it. */
async function findEarlier(directory: string): Promise<{ path: string; manifest: Manifest } | undefined> {
  const name = (await listBackups(directory)).at(-1)
  if (name === undefined) return undefined
  const path = join(directory, name)
  return readManifest(path).then(
    (manifest) => ({ path, manifest }),
    () => undefined,
  )
}
