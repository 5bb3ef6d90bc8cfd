import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
}

/** One file of the built dashboard, with the forms that were compressed when it was built. */
export type DashboardFile = {
  type: string
  plain: Uint8Array<ArrayBuffer>
  br: Uint8Array<ArrayBuffer> | undefined
  gzip: Uint8Array<ArrayBuffer> | undefined
}

/** The built dashboard by path (`/index.html`, `/assets/...`). It is small and is kept in memory: no path ever reaches the disk. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>

/** Reads what the build has made. @throws when the folder is not there or is not a build. */
export async function readDashboardFiles(directory: string): Promise<DashboardFiles> {
  const names = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const contents = new Map(await Promise.all(names.map(async (name) => [name, await readBytes(name)] as const)))
  const files = new Map<string, DashboardFile>()
  for (const [name, plain] of contents) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const path = name.slice(directory.length).replaceAll('\\', '/')
    files.set(path.startsWith('/') ? path : `/${path}`, {
      type,
      plain,
      br: contents.get(`${name}.br`),
      gzip: contents.get(`${name}.gz`),
    })
  }
  if (!files.has('/index.html')) throw new Error(`${directory} is not a built dashboard: it has no index.html`)
  return files
}

async function readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(name))
}
