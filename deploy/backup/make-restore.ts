import { copyFile, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { makeTenantsDirectory } from '../../control/provisioners/own-server/tenants-directory.ts'
import { findPostgresBinaries } from '../../runtime/postgres-binaries.ts'
import { INITIALISED, preparePostgresDirectory } from '../../runtime/postgres-server.ts'
import { findUnprivilegedUser } from '../../runtime/unprivileged-user.ts'
import { DataDirectory } from '../data-directory.ts'
import { Remedy } from '../remedy.ts'
import { unpackArchive } from './archive.ts'
import { encryptionKeyId, type Places } from './backup-config.ts'
import { checkBackup, treeRoot } from './check-backup.ts'
import { readTreeList } from './copy-tree.ts'
import { giveTo } from './give-to.ts'
import { type FolderEntry, type Manifest, readManifest, type TreeEntry } from './manifest.ts'
import { proveMetadata } from './prove-metadata.ts'
import { Staging } from './staging.ts'

/** Servers that were not the platform's own are unpacked there, for whoever starts them. */
const OTHER_SERVERS = 'restored-servers'

export type RestoreOptions = {
  places: Places
  /** The backup's folder. */
  from: string
  /** A copy of `secrets.json`, for a backup without. */
  secretsFile: string | undefined
  /** Whether what is in the data directory may be moved aside. */
  replace: boolean
  nowMs: () => number
  onStep: (text: string) => void
}

export type Restored = {
  backup: string
  /** What was there before, and where it is now. */
  aside: readonly string[]
  /** Data directories of servers that the operator starts. */
  otherServers: readonly { directory: string; uses: readonly string[]; versionNum: number }[]
}

/**
 * Brings the platform's state back as a backup has it, into data directories that are empty. Everything is checked and built
 * first, and comes into its place by renames at the end: cut off before, nothing has happened; cut off after, the next call
 * finishes it. @throws Remedy
 */
export async function makeRestore(options: RestoreOptions): Promise<Restored> {
  const { from, onStep, places } = options
  const manifest = await readManifest(from)
  const pairs = pairFolders(manifest, places.folders)
  const locks = pairs.map(({ directory }) => new DataDirectory(directory))
  const held: DataDirectory[] = []
  try {
    for (const lock of locks) {
      await lock.acquire()
      held.push(lock)
    }
    const stagings = pairs.map(({ directory }) => new Staging(directory))
    if (!(await isComplete(stagings, manifest))) {
      for (const [index, staging] of stagings.entries())
        await refuseFull(staging, pairs[index]?.directory ?? '', options)
      await checkFits(options, manifest)
      const { files, bytes } = await checkBackup(from, manifest, onStep)
      onStep(`${files} files are as they were written (${bytes} bytes)`)
      for (const staging of stagings) await staging.begin()
      try {
        await fill(options, manifest, pairs, stagings)
        for (const staging of stagings) await staging.complete(manifest.backup, options.nowMs())
      } catch (fault) {
        for (const staging of stagings) await staging.discard()
        throw fault
      }
    }
    const aside: string[] = []
    for (const staging of stagings) {
      const complete = await staging.completed()
      const old = complete === undefined ? undefined : await staging.settle(complete)
      if (old !== undefined) aside.push(old)
    }
    return { backup: manifest.backup, aside, otherServers: listOtherServers(manifest, places.folders) }
  } finally {
    for (const lock of held) await lock.release()
  }
}

type Pair = { entry: FolderEntry; directory: string }

/** Each data directory with what the backup has of it: by the last part of its path, or as the only one. */
function pairFolders(manifest: Manifest, folders: readonly string[]): Pair[] {
  const [only] = manifest.folders
  if (only !== undefined && manifest.folders.length === 1 && folders.length === 1)
    return [{ entry: only, directory: folders[0] ?? '' }]
  const pairs = manifest.folders.map((entry) => {
    const directory = folders.find((folder) => basename(folder) === entry.name)
    return directory === undefined ? undefined : { entry, directory }
  })
  if (pairs.length === folders.length && pairs.every((pair) => pair !== undefined)) return pairs
  throw new Remedy(
    `The backup has the data directories ${manifest.folders.map(({ name }) => name).join(', ')}, and you named ${folders.join(', ')}.`,
    'Name one for each, with the same last part: AERODB_BACKUP_DATA_DIRS=/path/gateway,/path/control,...',
  )
}

/** True when another call built everything and was cut off while it brought it into place. */
async function isComplete(stagings: readonly Staging[], manifest: Manifest): Promise<boolean> {
  const states = await Promise.all(stagings.map((staging) => staging.completed()))
  const begun = states.find((state) => state !== undefined)
  if (begun === undefined) return false
  if (begun.backup !== manifest.backup)
    throw new Remedy(
      `A restore of ${begun.backup} was cut off here.`,
      `Finish that one first: npm run restore -- --from .../${begun.backup}`,
    )
  // Of several the first may be in place; the last is marked last, so some that are not marked were not built.
  return states.at(-1) !== undefined
}

async function refuseFull(staging: Staging, directory: string, { replace }: RestoreOptions): Promise<void> {
  const others = await staging.others()
  if (others.length === 0 || replace) return
  throw new Remedy(
    `The data directory ${directory} is not empty: ${others.slice(0, 5).join(', ')}`,
    'Name an empty one (AERODB_DATA_DIR=...), or have what is in it moved aside: --replace',
  )
}

/** What can be known to be in the way before anything is done. */
async function checkFits({ places, secretsFile }: RestoreOptions, manifest: Manifest): Promise<void> {
  const isRoot = process.getuid?.() === 0
  const tenants = manifest.folders.flatMap((folder) => folder.tenants)
  const wrongUser = manifest.folders.find((folder) => folder.tenants.length > 0 && folder.user.root !== isRoot)
  if (wrongUser !== undefined)
    throw new Remedy(
      `Tenants' own servers ran under ${wrongUser.user.root ? 'users of their own' : `the user ${wrongUser.user.name}`} there, which you are not.`,
      wrongUser.user.root ? 'Restore, and run the platform, as root.' : 'Restore as the user that runs control.',
    )
  const own = [...tenants, ...manifest.servers.filter((server) => server.embedded)]
  const { version } = await findPostgresBinaries(await findUnprivilegedUser())
  const other = own.find((server) => Math.floor(server.version_num / 10_000) !== Number.parseInt(version, 10))
  if (other !== undefined)
    throw new Remedy(
      `The backup is of PostgreSQL ${Math.floor(other.version_num / 10_000)}; this release runs ${version}.`,
      `Restore it by release ${manifest.release}, then upgrade.`,
    )
  const hasSecrets = manifest.folders.some((folder) => folder.secrets !== null)
  if (secretsFile === undefined && (hasSecrets || manifest.encryption_key_id === null)) return
  const text = secretsFile === undefined ? undefined : await readFile(secretsFile, 'utf8')
  const isEmbedded = manifest.servers.some((server) => server.embedded)
  if (isEmbedded && text === undefined)
    throw new Remedy(
      'The backup was made without its secrets, and nothing in it opens without them.',
      'Name the secrets.json that you kept: --secrets FILE',
    )
  const id = encryptionKeyId(text === undefined ? places.encryptionKeys : undefined, text)
  if (id !== manifest.encryption_key_id)
    throw new Remedy(
      `The encryption key ${id === null ? 'is not here' : 'is another one'}: the backup was sealed under ${manifest.encryption_key_id}.`,
      text === undefined
        ? 'Set AERODB_ENCRYPTION_KEYS to the one that the platform had.'
        : 'Name the right secrets.json.',
    )
}

async function fill(
  options: RestoreOptions,
  manifest: Manifest,
  pairs: readonly Pair[],
  stagings: readonly Staging[],
): Promise<void> {
  const { from, onStep } = options
  const [first] = stagings
  const [home] = pairs
  if (first === undefined || home === undefined) throw new Error('unreachable')
  for (const [index, server] of manifest.servers.entries()) {
    onStep(`the server of ${server.uses.join(' and ')}`)
    const target = join(first.path, server.embedded ? 'postgres' : join(OTHER_SERVERS, String(index)))
    await mkdir(dirname(target), { recursive: true, mode: 0o711 })
    const user = await findUnprivilegedUser()
    const actual = await preparePostgresDirectory(target, user)
    await unpackArchive(join(from, server.file), actual)
    if (server.embedded) await writeFile(join(actual, INITIALISED), '')
    if (user !== undefined) await giveTo(actual, user)
  }
  for (const [index, { entry, directory }] of pairs.entries()) {
    const staging = stagings[index]
    if (staging !== undefined) await fillFolder(options, entry, directory, staging.path)
  }
  if (manifest.servers.some((server) => server.embedded))
    await proveMetadata({
      staging: first.path,
      folders: manifest.folders,
      stagings: stagings.map((one) => one.path),
      onStep,
    })
}

async function fillFolder(
  { from, secretsFile, onStep }: RestoreOptions,
  entry: FolderEntry,
  directory: string,
  staging: string,
): Promise<void> {
  const secrets = secretsFile ?? (entry.secrets === null ? undefined : join(from, entry.secrets.file))
  if (secrets !== undefined) {
    await writeFile(join(staging, 'secrets.json'), await readFile(secrets), { mode: 0o600 })
  }
  if (entry.node !== null) {
    await makeTenantsDirectory(directory, staging)
    await writeFile(join(staging, 'tenants', 'node'), entry.node, { mode: 0o600 })
  }
  for (const tenant of entry.tenants) {
    onStep(`the server ${tenant.directory}`)
    const target = join(staging, 'tenants', tenant.directory)
    await mkdir(target, { mode: 0o700 })
    await unpackArchive(join(from, tenant.file), target)
    // The administrator is known to Postgres by the account that runs control.
    await writeFile(join(target, 'pg_ident.conf'), `control "${userInfo().username}" postgres\n`, { mode: 0o600 })
    if (tenant.uid !== null) await giveTo(target, { uid: tenant.uid, gid: tenant.uid })
  }
  if (entry.files !== null || entry.spool !== null) onStep('files and spools')
  if (entry.files !== null) await putTree(from, entry.files, join(staging, 'files'))
  if (entry.spool !== null) await putTree(from, entry.spool, join(staging, 'spool'))
}

async function putTree(from: string, tree: TreeEntry, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const path of (await readTreeList(join(from, tree.file))).keys()) {
    const source = join(from, treeRoot(tree.file), path)
    await mkdir(dirname(join(to, path)), { recursive: true, mode: 0o700 })
    await copyFile(source, join(to, path))
    const { mtime } = await stat(source)
    await utimes(join(to, path), mtime, mtime)
  }
}

function listOtherServers(manifest: Manifest, folders: readonly string[]): Restored['otherServers'] {
  return manifest.servers.flatMap(({ embedded, uses, version_num }, index) =>
    embedded
      ? []
      : [{ directory: join(folders[0] ?? '', OTHER_SERVERS, String(index)), uses, versionNum: version_num }],
  )
}
