import { link, mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Sealed, sealOf, writeFileSealed } from './archive.ts'

/** What was copied, by path below the folder. */
export type Tree = Map<string, Sealed>

/**
 * Copies the files below `from` that are not in `tree` yet, or have grown since, to `to`, while others write and remove there.
 * Files that are removed meanwhile are left out. Times of change are kept.
 * @param isWanted by path below `from`.
 * @param earlier a copy of the same folder that is whole: where a file is in it, with its size, the two share it by a hard
 *   link. Only for files that never change.
 */
export async function copyTree(
  tree: Tree,
  from: string,
  to: string,
  isWanted: (path: string) => boolean,
  earlier?: { directory: string; tree: Tree },
): Promise<void> {
  for (const path of await listFiles(from)) {
    if (!isWanted(path)) continue
    try {
      const { size, mtime } = await stat(join(from, path))
      if (tree.get(path)?.bytes === size) continue
      const target = join(to, path)
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      const shared = await shareFile(target, path, size, earlier)
      if (shared === undefined) {
        const copied = await copyFile(join(from, path), target)
        await utimes(target, mtime, mtime)
        tree.set(path, copied)
      } else tree.set(path, shared)
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code !== 'ENOENT') throw fault
    }
  }
}

/** Writes the list of a tree, one line a file. @returns what the manifest says of it. */
export async function writeTreeList(tree: Tree, path: string): Promise<Sealed & { count: number }> {
  const lines = [...tree].map(([name, { sha256, bytes }]) => `${sha256} ${bytes} ${name}\n`)
  await writeFile(path, lines.join(''), { flag: 'wx', mode: 0o600, flush: true })
  return { ...(await sealOf(path)), count: tree.size }
}

/** @throws when a line is none. */
export async function readTreeList(path: string): Promise<Tree> {
  const tree: Tree = new Map()
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    if (line === '') continue
    const [, sha256, bytes, name] = line.match(/^([0-9a-f]{64}) (\d+) (.+)$/) ?? []
    // A list is data from a disk: it must not lead out of the folder.
    if (sha256 === undefined || name === undefined || name.startsWith('/') || name.split('/').includes('..'))
      throw new Error(`${path} has a line that is none: ${line.slice(0, 100)}`)
    tree.set(name, { sha256, bytes: Number(bytes) })
  }
  return tree
}

/** Makes the names in a folder and all below it survive a loss of power. */
export async function flushFolders(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true }))
    if (entry.isDirectory()) await flushFolders(join(directory, entry.name))
  const handle = await open(directory, 'r')
  await handle.sync().finally(() => handle.close())
}

async function listFiles(directory: string, inside = ''): Promise<string[]> {
  const entries = await readdir(join(directory, inside), { withFileTypes: true }).catch(
    (fault: NodeJS.ErrnoException) => {
      if (fault.code === 'ENOENT') return []
      throw fault
    },
  )
  const found: string[] = []
  for (const entry of entries) {
    const path = join(inside, entry.name)
    if (entry.isDirectory()) found.push(...(await listFiles(directory, path)))
    else if (entry.isFile()) found.push(path)
  }
  return found
}

async function copyFile(from: string, to: string): Promise<Sealed> {
  // Opened before anything is removed or made: what is gone by now stays as it was copied.
  const handle = await open(from, 'r')
  await rm(to, { force: true })
  return writeFileSealed(handle.createReadStream({ highWaterMark: 1_048_576 }), to)
}

async function shareFile(
  target: string,
  path: string,
  size: number,
  earlier: { directory: string; tree: Tree } | undefined,
): Promise<Sealed | undefined> {
  const known = earlier?.tree.get(path)
  if (earlier === undefined || known?.bytes !== size) return undefined
  return link(join(earlier.directory, path), target).then(
    () => known,
    () => undefined,
  )
}
