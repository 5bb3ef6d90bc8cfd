import { copyFile, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, join } from 'node:path'
import type pg from 'pg'
import { sealOf } from './archive.ts'
import { treeRoot } from './check-backup.ts'
import { copyTree, readTreeList, type Tree, writeTreeList } from './copy-tree.ts'
import type { FolderEntry, Manifest } from './manifest.ts'
import { copyOwnServer } from './own-server-copy.ts'
import { listOwnServers } from './placement.ts'

export type FolderCopy = {
  /** Both may be repeated, and add what is new. */
  copySpool: () => Promise<void>
  copyFiles: () => Promise<void>
  copyTenants: () => Promise<void>
  finish: () => Promise<FolderEntry>
}

/** Copies what one data directory keeps, in the order that the caller chooses. */
export async function copyFolder(options: {
  folder: string
  /** Its place among the data directories: what it is called in the backup. */
  index: number
  /** The backup's folder. */
  path: string
  metadata: pg.Client
  earlier: { path: string; manifest: Manifest } | undefined
  withSecrets: boolean
  onStep: (text: string) => void
}): Promise<FolderCopy> {
  const { folder, path, metadata } = options
  const place = join('folders', String(options.index))
  await mkdir(join(path, place), { recursive: true, mode: 0o700 })
  const name = basename(folder)
  const files: Tree = new Map()
  const spool: Tree = new Map()
  const tenants: FolderEntry['tenants'] = []
  const node = await readText(join(folder, 'tenants', 'node'))

  return {
    copySpool: () => copyTree(spool, join(folder, 'spool'), join(path, place, 'spool'), isOfWriter),
    copyFiles: async () =>
      copyTree(
        files,
        join(folder, 'files'),
        join(path, place, 'files'),
        // One that is being written has no row yet.
        (file) => !file.endsWith('.part'),
        await readEarlier(options.earlier, name),
      ),
    copyTenants: async () => {
      if (node === undefined) return
      await mkdir(join(path, place, 'tenants'), { mode: 0o700 })
      for (const { directory, isSettled } of await listOwnServers(metadata, node)) {
        const source = join(folder, 'tenants', directory)
        const info = await stat(source).catch(() => undefined)
        if (info === undefined && !isSettled) continue
        options.onStep(`the server ${directory}`)
        const file = join(place, 'tenants', `${directory}.tar.zst`)
        const remove = () => rm(join(path, file), { force: true })
        const { versionNum, ...sealed } = await copyOwnServer(source, join(path, file), remove)
        const uid = process.getuid?.() === 0 && info !== undefined ? info.uid : null
        tenants.push({ file, directory, uid, version_num: versionNum, ...sealed })
      }
    },
    finish: async () => ({
      name,
      tenants,
      node: node ?? null,
      user: { name: userInfo().username, root: process.getuid?.() === 0 },
      files: files.size === 0 ? null : await listTree(files, path, join(place, 'files.list')),
      spool: spool.size === 0 ? null : await listTree(spool, path, join(place, 'spool.list')),
      secrets: options.withSecrets ? await copySecrets(folder, path, join(place, 'secrets.json')) : null,
    }),
  }
}

/** Segments, and who wrote them. Leases of those who ship them mean nothing elsewhere. */
function isOfWriter(file: string): boolean {
  return /(\.seg|\/writer\.json|\/closed\.json)$/.test(file)
}

async function listTree(tree: Tree, path: string, file: string) {
  return { file, ...(await writeTreeList(tree, join(path, file))) }
}

async function copySecrets(folder: string, path: string, file: string): Promise<FolderEntry['secrets']> {
  if ((await readText(join(folder, 'secrets.json'))) === undefined) return null
  await copyFile(join(folder, 'secrets.json'), join(path, file))
  return { file, ...(await sealOf(join(path, file))) }
}

/** The files of the same data directory in an earlier backup. */
async function readEarlier(
  earlier: { path: string; manifest: Manifest } | undefined,
  name: string,
): Promise<{ directory: string; tree: Tree } | undefined> {
  const list = earlier?.manifest.folders.find((one) => one.name === name)?.files?.file
  if (earlier === undefined || list === undefined) return undefined
  const tree = await readTreeList(join(earlier.path, list))
  return { directory: join(earlier.path, treeRoot(list)), tree }
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    (fault: NodeJS.ErrnoException) => {
      if (fault.code === 'ENOENT') return undefined
      throw fault
    },
  )
}
