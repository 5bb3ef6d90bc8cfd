import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { KubeConfig } from '@kubernetes/client-node'
import { findFreePort } from '../../runtime/free-port.ts'
import { endProcess } from '../../runtime/processes.ts'
import { findFile, findProgram } from '../../runtime/programs.ts'
import { askKubernetes } from './kubernetes-request.ts'

const KUBERNETES = 'v1.36.3'
const PACKAGES = ['k8s.io/kubernetes/cmd/kube-apiserver', 'go.etcd.io/etcd/server/v3']
const BUILD_TIMEOUT_MS = 30 * 60_000
const START_TIMEOUT_MS = 120_000
const run = promisify(execFile)

/** A real API server with its etcd, and nothing else: no controllers, no nodes. */
export type KubeApiServer = {
  url: string
  /** Of an administrator. */
  admin: KubeConfig
  /** The kubeconfig of `user`, as a file; what that may do is for RBAC to say. */
  kubeconfigOf: (user: string) => string
  stop: () => Promise<void>
}

type Programs = { apiserver: string; etcd: string }

/**
 * `kube-apiserver` and `etcd`: from PATH, else built with Go from the published modules, once (some minutes of two cores); they are kept below
 * the cache directory. `k8s.io/kubernetes` takes its own parts from its repository, so `go install` alone does not build it.
 */
async function ensurePrograms(): Promise<Programs> {
  const [apiserver, etcd] = await Promise.all([findProgram('kube-apiserver'), findProgram('etcd')])
  if (apiserver !== undefined && etcd !== undefined) return { apiserver, etcd }
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'aerodb', `kubernetes-${KUBERNETES}`)
  const programs = { apiserver: join(cache, 'kube-apiserver'), etcd: join(cache, 'etcd') }
  if ((await findFile([programs.etcd])) === undefined) await buildPrograms(cache)
  return programs
}

async function buildPrograms(cache: string): Promise<void> {
  const go = await findProgram('go')
  if (go === undefined) throw new Error('The test needs kube-apiserver and etcd in PATH, or Go to build them')
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-kubernetes-build-'))
  try {
    const { stdout } = await run(go, ['mod', 'download', '-json', `k8s.io/kubernetes@${KUBERNETES}`])
    const source = await readFile((JSON.parse(stdout) as { GoMod: string }).GoMod, 'utf8')
    const version = KUBERNETES.replace(/^v1/, 'v0')
    const parts = [...source.matchAll(/^\t(k8s\.io\/[\w-]+) => \.\/staging/gm)].map(
      ([, part]) => `\t${part} => ${part} ${version}`,
    )
    await writeFile(
      join(directory, 'go.mod'),
      `module build\n\n${/^go .*$/m.exec(source)?.[0] ?? ''}\n\nrequire k8s.io/kubernetes ${KUBERNETES}\n\nreplace (\n${parts.join('\n')}\n)\n`,
    )
    await writeFile(
      join(directory, 'build.go'),
      `//go:build tools\n\npackage build\n\nimport (\n${PACKAGES.map((one) => `\t_ "${one}"`).join('\n')}\n)\n`,
    )
    const build = (...args: string[]) =>
      run(go, args, { cwd: directory, timeout: BUILD_TIMEOUT_MS, maxBuffer: 64_000_000 })
    await build('mod', 'tidy')
    await mkdir(cache, { recursive: true })
    for (const [index, name] of ['kube-apiserver', 'etcd'].entries()) {
      await build('build', '-ldflags', '-s -w', '-o', join(directory, name), PACKAGES[index] ?? '')
      await run('cp', [join(directory, name), join(cache, `${name}.part`)])
      await rename(join(cache, `${name}.part`), join(cache, name))
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * Starts an API server with RBAC, empty and on free ports.
 * @param users who may come with a token; in `system:masters` is only its administrator.
 */
export async function startKubeApiServer(users: readonly string[]): Promise<KubeApiServer> {
  const programs = await ensurePrograms()
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-kubernetes-'))
  const [port, etcdPort, peerPort] = [await findFreePort(), await findFreePort(), await findFreePort()]
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(join(directory, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  const tokens = [
    ...users.map((user) => `token-of-${user},${user},${user}`),
    'token-of-admin,admin,admin,"system:masters"',
  ]
  await writeFile(join(directory, 'tokens.csv'), `${tokens.join('\n')}\n`, { mode: 0o600 })
  const lines: string[] = []
  const start = (program: string, args: string[]): number => {
    const child = spawn(program, args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => lines.splice(0, lines.length, ...[...lines, text].slice(-20)))
    if (child.pid === undefined) throw new Error(`${program} could not be started`)
    return child.pid
  }
  const etcd = start(programs.etcd, [
    ...['--data-dir', join(directory, 'etcd'), '--unsafe-no-fsync', '--log-level', 'error'],
    ...[
      '--listen-client-urls',
      `http://127.0.0.1:${etcdPort}`,
      '--advertise-client-urls',
      `http://127.0.0.1:${etcdPort}`,
    ],
    ...['--listen-peer-urls', `http://127.0.0.1:${peerPort}`],
  ])
  const key = join(directory, 'sa.key')
  const apiserver = start(programs.apiserver, [
    ...['--etcd-servers', `http://127.0.0.1:${etcdPort}`, '--cert-dir', join(directory, 'certificates')],
    ...['--bind-address', '127.0.0.1', '--secure-port', `${port}`, '--service-cluster-ip-range', '10.0.0.0/24'],
    ...[
      '--service-account-issuer',
      'https://localhost',
      '--service-account-key-file',
      key,
      '--service-account-signing-key-file',
      key,
    ],
    ...['--token-auth-file', join(directory, 'tokens.csv'), '--authorization-mode', 'RBAC'],
    // No controller makes service accounts here.
    ...['--disable-admission-plugins', 'ServiceAccount'],
  ])
  const stop = async (): Promise<void> => {
    await endProcess(apiserver, 'SIGKILL', 10_000)
    await endProcess(etcd, 'SIGKILL', 10_000)
    await rm(directory, { recursive: true, force: true })
  }
  const url = `https://127.0.0.1:${port}`
  try {
    const certificate = join(directory, 'certificates', 'apiserver.crt')
    const configOf = (user: string) => ({
      clusters: [{ name: 'test', server: url, caFile: certificate, skipTLSVerify: false }],
      users: [{ name: user, token: `token-of-${user}` }],
      contexts: [{ name: 'test', cluster: 'test', user }],
      currentContext: 'test',
    })
    const admin = new KubeConfig()
    admin.loadFromOptions(configOf('admin'))
    await whenReady(admin, lines)
    for (const user of users) {
      const config = new KubeConfig()
      config.loadFromOptions(configOf(user))
      await writeFile(join(directory, `${user}.kubeconfig`), config.exportConfig(), { mode: 0o600 })
    }
    return { url, admin, kubeconfigOf: (user) => join(directory, `${user}.kubeconfig`), stop }
  } catch (fault) {
    await stop()
    throw fault
  }
}

async function whenReady(admin: KubeConfig, lines: readonly string[]): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const isReady = await askKubernetes(admin, 'GET', '/readyz').then(
      () => true,
      () => false,
    )
    if (isReady) return
    if (performance.now() > deadline) throw new Error(`The API server did not start: ${lines.join('')}`)
    await sleep(200)
  }
}
