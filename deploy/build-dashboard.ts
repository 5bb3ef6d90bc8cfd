import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DASHBOARD = join(ROOT, 'dashboard')
const BUILDS = join(DASHBOARD, 'dist')
/** What the build is made of; a change in any of it makes another build. */
const SOURCES = [join(DASHBOARD, 'src'), join(ROOT, 'client')]
const FILES = ['dashboard/index.html', 'dashboard/vite.config.ts', 'package-lock.json']
const COMPRESSIBLE = new Set(['.js', '.css', '.html', '.svg', '.json'])

/**
 * The folder of the built dashboard; builds it when its sources have changed since (seconds). Any number of processes may ask
 * at once: each builds aside, and the first one's is taken.
 * @throws Error with what the build printed.
 */
export async function ensureDashboard(): Promise<string> {
  const directory = join(BUILDS, (await hashSources()).slice(0, 16))
  if (await exists(join(directory, 'index.html'))) return directory
  await mkdir(BUILDS, { recursive: true })
  const aside = await mkdtemp(join(BUILDS, '.building-'))
  try {
    await buildInto(aside)
    await rename(aside, directory).catch(async (fault: NodeJS.ErrnoException) => {
      if (fault.code !== 'ENOTEMPTY' && fault.code !== 'EEXIST') throw fault
    })
    await removeOthers(directory)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return directory
}

async function buildInto(directory: string): Promise<void> {
  const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js')
  const child = spawn(
    process.execPath,
    [vite, 'build', DASHBOARD, '--outDir', directory, '--emptyOutDir', '--logLevel', 'warn'],
    // A launcher that runs tests says so; pages are always built for production.
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_ENV: 'production' } },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  if (code !== 0) throw new Error(`The dashboard could not be built:\n${output.trim().slice(-4_000)}`)
  await compressAll(directory)
}

/** Compressed once, here: no request waits for it. */
async function compressAll(directory: string): Promise<void> {
  const names = (await readdir(directory, { recursive: true })).filter((name) => COMPRESSIBLE.has(extname(name)))
  await Promise.all(
    names.map(async (name) => {
      const plain = await readFile(join(directory, name))
      if (plain.length < 1_000) return
      const [br, gz] = await Promise.all([
        promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }),
        promisify(gzip)(plain, { level: 9 }),
      ])
      await Promise.all([writeFile(join(directory, `${name}.br`), br), writeFile(join(directory, `${name}.gz`), gz)])
    }),
  )
}

async function hashSources(): Promise<string> {
  const hash = createHash('sha256')
  const names = [...FILES.map((file) => join(ROOT, file))]
  for (const folder of SOURCES) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    names.push(...entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)))
  }
  for (const name of names.sort()) {
    if (name.endsWith('.test.ts')) continue
    hash
      .update(relative(ROOT, name))
      .update('\0')
      .update(await readFile(name))
      .update('\0')
  }
  return hash.digest('hex')
}

/** Earlier builds: whoever serves one has it in memory. Builds under way are left alone. */
async function removeOthers(directory: string): Promise<void> {
  for (const name of await readdir(BUILDS)) {
    const other = join(BUILDS, name)
    if (other !== directory && !name.startsWith('.')) await rm(other, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** `node deploy/build-dashboard.ts` prints the folder: for images, whose control is told it as AERODB_DASHBOARD_DIR. */
if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await ensureDashboard())
