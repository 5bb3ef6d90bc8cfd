import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import type { PlatformClient } from '../client/platform-client.ts'
import { connect } from './connection.ts'
import { CliFault, EXIT } from './fault.ts'
import { makeOutput, type Output } from './output.ts'
import { findTarget, type Target } from './target.ts'

/** What is given with every command. */
export type GlobalOptions = {
  json?: boolean | undefined
  quiet?: boolean | undefined
  profile?: string | undefined
  local?: boolean | undefined
  idempotencyKey?: string | undefined
}

/** One run of a command. */
export type Session = {
  env: NodeJS.ProcessEnv
  options: GlobalOptions
  out: Output
  /** Aborted when the caller interrupts. */
  signal: AbortSignal
  /** The platform with the caller's key. `isPublic`: the call needs none. */
  connect: (isPublic?: 'public') => Promise<PlatformClient>
  target: () => Promise<Target>
}

/** Runs what a command does. */
export type Perform = (work: (session: Session) => Promise<void>) => Promise<void>

export function openSession(env: NodeJS.ProcessEnv, options: GlobalOptions, signal: AbortSignal): Session {
  const out = makeOutput({ json: options.json === true, quiet: options.quiet === true })
  const target = () => findTarget(env, options)
  return {
    env,
    options,
    out,
    signal,
    target,
    connect: async (isPublic) => {
      const found = await target()
      if (found.source.startsWith('the local platform')) out.note(`Using ${found.source}.`)
      if (found.key === undefined && isPublic === undefined)
        throw new CliFault(EXIT.notAllowed, 'no_key', 'AERODB_CONTROL_URL is set, but not AERODB_PLATFORM_KEY.')
      return connect(found, { idempotencyKey: options.idempotencyKey, signal, note: out.note })
    },
  }
}

/** Asks a question at the terminal. @throws CliFault where there is none. */
export async function ask(session: Session, question: string, options: { isSecret?: boolean } = {}): Promise<string> {
  if (!process.stdin.isTTY) throw new CliFault(EXIT.usage, 'not_interactive', 'There is no terminal to ask at.')
  // What is secret is not shown while it is typed: readline's echo goes nowhere.
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({
    input: process.stdin,
    output: options.isSecret === true ? hidden : process.stderr,
    terminal: true,
  })
  // Only now: from here on the terminal itself shows nothing of what is typed.
  if (options.isSecret === true) process.stderr.write(question)
  try {
    return (await lines.question(options.isSecret === true ? '' : question, { signal: session.signal })).trim()
  } finally {
    lines.close()
    if (options.isSecret === true) process.stderr.write('\n')
  }
}

/** What must not be done by mistake: the name is typed again, unless `--yes`. */
export async function confirmName(session: Session, name: string, what: string, isSure: boolean): Promise<void> {
  if (isSure) return
  if (!process.stdin.isTTY)
    throw new CliFault(
      EXIT.usage,
      'not_confirmed',
      `${what} wants to be confirmed.`,
      'Add --yes where nobody is asked.',
    )
  const { url } = await session.target()
  const typed = await ask(session, `${what} (${url}). Type ${name} to go on: `)
  if (typed !== name) throw new CliFault(EXIT.usage, 'not_confirmed', 'That is not the name; nothing was done.')
}

/** All of standard input, for secrets that must not stand in a command line. */
export async function readStdin(): Promise<string> {
  return (await readAll(process.stdin)).trim()
}
