import { execFile, spawn } from 'node:child_process'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** The last version; it is written in Python 2. */
const VERSION = '25.10.1'
const INSTALL_TIMEOUT_MS = 10 * 60_000
const RUN_TIMEOUT_MS = 20 * 60_000

/** Python 2.7 with pip, from PATH or pyenv; `undefined` where there is none. */
export async function findPython2(): Promise<string | undefined> {
  const versions = join(homedir(), '.pyenv', 'versions')
  const ofPyenv = await readdir(versions).catch(() => [])
  const candidates = [
    'python2.7',
    'python2',
    ...ofPyenv.filter((name) => name.startsWith('2.7')).map((name) => join(versions, name, 'bin', 'python2.7')),
  ]
  for (const candidate of candidates) {
    const works = await run(candidate, ['-m', 'pip', '--version']).then(
      () => true,
      () => false,
    )
    if (works) return candidate
  }
  return undefined
}

/** The suite from PyPI, installed once beside the project's own packages; its folder. */
async function installSuite(python: string): Promise<string> {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/autobahn-${VERSION}`, import.meta.url))
  const isThere = await access(join(folder, 'ready')).then(
    () => true,
    () => false,
  )
  if (isThere) return folder
  await mkdir(folder, { recursive: true })
  await run(python, ['-m', 'pip', 'install', '--quiet', '--target', folder, `autobahntestsuite==${VERSION}`], {
    timeout: INSTALL_TIMEOUT_MS,
  })
  // A namespace package, which Python 2 finds in a folder of its own choosing only so.
  await writeFile(join(folder, 'zope', '__init__.py'), '')
  await writeFile(join(folder, 'ready'), '')
  return folder
}

export type AutobahnResult = { behavior: string; behaviorClose: string; remoteCloseCode: number | null }
export type AutobahnReport = Record<string, Record<string, AutobahnResult>>

/** Runs the suite's fuzzing client against each server in turn. @returns by server and case. */
export async function runAutobahn(
  python: string,
  servers: readonly { agent: string; url: string }[],
  cases: { include: string[]; exclude: string[] },
  directory: string,
): Promise<AutobahnReport> {
  const folder = await installSuite(python)
  const spec = join(directory, 'spec.json')
  await writeFile(
    spec,
    JSON.stringify({
      outdir: directory,
      servers,
      cases: cases.include,
      'exclude-cases': cases.exclude,
      'exclude-agent-cases': {},
    }),
  )
  const child = spawn(python, [join(folder, 'bin', 'wstest'), '-m', 'fuzzingclient', '-s', spec], {
    stdio: 'ignore',
    timeout: RUN_TIMEOUT_MS,
    env: { ...process.env, PYTHONPATH: folder },
  })
  await new Promise((resolve) => child.once('close', resolve))
  return JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'))
}
