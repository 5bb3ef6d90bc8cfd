import { spawn, spawnSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

export type Language = 'sh' | 'js' | 'python'
export const LANGUAGES: readonly Language[] = ['sh', 'js', 'python']

/** `*.localhost` is this machine to curl and browsers; Node and Python ask a resolver that may not know it. */
const JS_RESOLVER = `import dns from 'node:dns'
const lookup = dns.lookup
dns.lookup = (host, options, done) => lookup(host.endsWith('.localhost') ? '127.0.0.1' : host, options, done)
`
const PYTHON_RESOLVER = `import socket
lookup = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: lookup("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named)
`

/** Runs examples of the documentation as a reader would: each a program of its own, in a folder where packages are installed. */
export class ExampleRunner {
  readonly #directory: string
  readonly #python: string

  private constructor(directory: string, python: string) {
    this.#directory = directory
    this.#python = python
  }

  /** Prepares `directory`. Python's `requests` is installed into it where the machine has none. */
  static async prepare(directory: string): Promise<ExampleRunner> {
    await mkdir(directory, { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    await writeFile(join(directory, 'resolver.mjs'), JS_RESOLVER)
    await writeFile(join(directory, 'sitecustomize.py'), PYTHON_RESOLVER)
    if (spawnSync('python3', ['-c', 'import requests']).status === 0) return new ExampleRunner(directory, 'python3')
    const environment = join(directory, 'python')
    for (const [command, ...args] of [
      ['python3', '-m', 'venv', environment],
      [join(environment, 'bin', 'pip'), 'install', '--quiet', 'requests'],
    ] as const) {
      const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`Examples need Python 3 with requests: ${command} ${args.join(' ')}: ${stderr}`)
    }
    return new ExampleRunner(directory, join(environment, 'bin', 'python3'))
  }

  /** What the program printed. @throws Error with the program and all it printed when it fails, or takes a minute. */
  async run(language: Language, program: string, env: Record<string, string>): Promise<string> {
    const [command, args] = {
      sh: ['bash', ['-euo', 'pipefail', '-c', program]] as const,
      js: [process.execPath, ['--import', './resolver.mjs', '--input-type=module', '--eval', program]] as const,
      python: [this.#python, ['-c', program]] as const,
    }[language]
    const child = spawn(command, args, {
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      env: {
        PATH: process.env.PATH,
        HOME: this.#directory,
        PYTHONPATH: this.#directory,
        PYTHONDONTWRITEBYTECODE: '1',
        ...env,
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve)
    })
    if (code !== 0) throw new Error(`This example fails (${code}):\n${program}\n\n${output}`)
    return output
  }
}

export type CodeBlock = { language: Language; label: string; program: string; line: number }

const FENCE = /^```(sh|js|python)\b([^\n]*)\n([\s\S]*?)^```$/gm

/** The programs of a page in their order; those marked `not-run` are left out. */
export function codeBlocks(markdown: string): CodeBlock[] {
  return [...markdown.matchAll(FENCE)].flatMap(({ 1: language, 2: label = '', 3: program = '', index }) =>
    label.includes('not-run')
      ? []
      : [{ language: language as Language, label, program, line: markdown.slice(0, index).split('\n').length }],
  )
}
