import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { Remedy } from '../remedy.ts'

/** Grows when a release writes backups that older releases do not understand. */
const FORMAT = 1
export const MANIFEST_FILE = 'manifest.json'

const sealed = z.object({ bytes: z.number().int(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })

const server = sealed.extend({
  /** The archive, below the backup's folder. */
  file: z.string(),
  version_num: z.number().int(),
})

const schema = z.object({
  format: z.number().int(),
  backup: z.string(),
  release: z.string(),
  /** What was acknowledged before this is in it. */
  started_at: z.iso.datetime(),
  finished_at: z.iso.datetime(),
  /** Names the key that the backup's passwords and secrets are sealed under; it says nothing of the key. */
  encryption_key_id: z.string().nullable(),
  /** Servers by address: those of metadata (with the ledger) and of the shared tier. */
  servers: z.array(
    server.extend({
      /** The system identifier. */
      identity: z.string(),
      uses: z.array(z.enum(['metadata', 'shared'])),
      /** Whether it is the platform's own, which lies in the data directory. */
      embedded: z.boolean(),
    }),
  ),
  folders: z.array(
    z.object({
      /** The last part of the data directory's path. */
      name: z.string(),
      /** Tenants' own servers, by the name of the data directory. */
      tenants: z.array(server.extend({ directory: z.string(), uid: z.number().int().nullable() })),
      /** The name that the machine's data goes by. */
      node: z.string().nullable(),
      /** The account that it belongs to, and whether that was root. */
      user: z.object({ name: z.string(), root: z.boolean() }),
      /** Lists of what was copied file by file: `<sha256> <bytes> <path>` a line. */
      files: sealed.extend({ file: z.string(), count: z.number().int() }).nullable(),
      spool: sealed.extend({ file: z.string(), count: z.number().int() }).nullable(),
      secrets: sealed.extend({ file: z.string() }).nullable(),
    }),
  ),
})

export type Manifest = z.output<typeof schema>
export type FolderEntry = Manifest['folders'][number]
export type TreeEntry = NonNullable<FolderEntry['files']>

export const MANIFEST_FORMAT = FORMAT

/** Reads a backup's manifest. @throws Remedy when there is none, or a newer release wrote it. */
export async function readManifest(directory: string): Promise<Manifest> {
  let document: unknown
  try {
    document = JSON.parse(await readFile(join(directory, MANIFEST_FILE), 'utf8'))
  } catch (fault) {
    throw new Remedy(
      `${directory} is no backup: ${(fault as Error).message}`,
      'Name the folder that `npm run backup` has made: the one with manifest.json in it.',
    )
  }
  const format = z.object({ format: z.number() }).safeParse(document)
  if (format.success && format.data.format > FORMAT)
    throw new Remedy(
      `A newer release made the backup (format ${format.data.format}; this one knows ${FORMAT}).`,
      'Restore it by that release or a newer one.',
    )
  const manifest = schema.safeParse(document)
  if (manifest.success) return manifest.data
  throw new Remedy(
    `The manifest of ${directory} is damaged: ${manifest.error.issues[0]?.path.join('.')}: ${manifest.error.issues[0]?.message}`,
    'Take an older backup.',
  )
}
