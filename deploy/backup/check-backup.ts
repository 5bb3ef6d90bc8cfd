import { basename, join } from 'node:path'
import { Remedy } from '../remedy.ts'
import { type Sealed, sealOf } from './archive.ts'
import { readTreeList } from './copy-tree.ts'
import type { Manifest } from './manifest.ts'

/** Reads every file of a backup and compares it with its checksum. @throws Remedy that names the first one that differs. */
export async function checkBackup(
  directory: string,
  manifest: Manifest,
  onStep: (text: string) => void,
): Promise<{ files: number; bytes: number }> {
  let files = 0
  let bytes = 0
  const check = async (file: string, expected: Sealed): Promise<void> => {
    await checkFile(directory, file, expected)
    files += 1
    bytes += expected.bytes
  }
  for (const server of manifest.servers) await check(server.file, server)
  for (const folder of manifest.folders) {
    onStep(`checking ${folder.name}`)
    for (const tenant of folder.tenants) await check(tenant.file, tenant)
    if (folder.secrets !== null) await check(folder.secrets.file, folder.secrets)
    for (const tree of [folder.files, folder.spool]) {
      if (tree === null) continue
      await check(tree.file, tree)
      const root = treeRoot(tree.file)
      for (const [path, sealed] of await readTreeList(join(directory, tree.file))) await check(join(root, path), sealed)
    }
  }
  return { files, bytes }
}

/** The folder that a list is of. */
export function treeRoot(listFile: string): string {
  return listFile.replace(/\.list$/, '')
}

async function checkFile(directory: string, file: string, expected: Sealed): Promise<void> {
  const actual = await sealOf(join(directory, file)).catch(() => undefined)
  if (actual?.sha256 === expected.sha256 && actual.bytes === expected.bytes) return
  throw new Remedy(
    `The backup ${basename(directory)} is damaged: ${file} ${actual === undefined ? 'cannot be read' : 'is not what was written'}.`,
    'Take another copy of this backup, or an older backup. Nothing was restored.',
  )
}
