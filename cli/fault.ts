import { PlatformProblem } from '../client/platform-client.ts'
import { plain } from './table.ts'

/** What a script may decide on; documented in docs/cli.md. */
export const EXIT = {
  ok: 0,
  /** A fault of the command itself or of this machine (a file that cannot be written). */
  failed: 1,
  /** The command line or the configuration is not usable; nothing was sent. */
  usage: 2,
  /** The platform refused: what was asked breaks a rule, or does not fit the state of things. */
  refused: 3,
  /** No key, a key that opens nothing, or a role that may not. */
  notAllowed: 4,
  notFound: 5,
  /** Not reachable, overloaded or out of order, also after the repetitions. */
  unavailable: 6,
  /** The operation that was waited for has failed. */
  operationFailed: 7,
  /** The time to wait was over before the operation. */
  stillRunning: 8,
  interrupted: 130,
} as const

/** Something that ends the command, said in one sentence; a hint says what to do about it. */
export class CliFault extends Error {
  readonly exitCode: number
  readonly hint: string | undefined
  readonly code: string

  constructor(exitCode: number, code: string, message: string, hint?: string) {
    super(message)
    this.name = 'CliFault'
    this.exitCode = exitCode
    this.code = code
    this.hint = hint
  }
}

const HINTS: Readonly<Record<string, string>> = {
  unauthorized: '`aerodb login` stores a key; `aerodb whoami` tells which one is used.',
  tenant_not_changeable: '`aerodb operations list --status running` shows what is under way.',
  access_grant_required: '`aerodb access-grants request` asks the tenant.',
  unreachable: 'Check the address (`aerodb profiles list`), and that the platform runs.',
}

/** The exit code that a fault ends the command with. */
export function exitCodeOf(fault: unknown): number {
  if (fault instanceof CliFault) return fault.exitCode
  if (!(fault instanceof PlatformProblem)) return EXIT.failed
  const { status } = fault
  if (status === 401 || status === 403) return EXIT.notAllowed
  if (status === 404) return EXIT.notFound
  if (status === 0 || status === 429 || (status >= 500 && status !== 501)) return EXIT.unavailable
  return EXIT.refused
}

/** A fault for people: what is wrong, by field and rule, with the code and the request's id that support asks for. */
export function renderFault(fault: unknown): string {
  if (fault instanceof PlatformProblem) {
    const { status, code, requestId, errors, retryAfterSeconds } = fault
    const facts = [
      `code ${code}`,
      ...(status === 0 ? [] : [`status ${status}`]),
      ...(requestId === undefined ? [] : [`request ${requestId}`]),
      ...(retryAfterSeconds === undefined ? [] : [`try again in ${retryAfterSeconds} s`]),
    ]
    return lines([
      `error: ${fault.message}`,
      ...errors.map(({ path, message }) => `  ${path}: ${message}`),
      `  (${facts.join(', ')})`,
      ...(HINTS[code] === undefined ? [] : [HINTS[code]]),
    ])
  }
  if (fault instanceof CliFault)
    return lines([`error: ${fault.message}`, ...(fault.hint === undefined ? [] : [fault.hint])])
  return lines([`error: ${fault instanceof Error ? fault.message : String(fault)}`])
}

/** A fault for programs. */
export function describeFault(fault: unknown): object {
  if (fault instanceof PlatformProblem) {
    const { status, code, message, requestId, errors, retryAfterSeconds } = fault
    return { status, code, detail: message, request_id: requestId, errors, retry_after_seconds: retryAfterSeconds }
  }
  const code = fault instanceof CliFault ? fault.code : 'internal'
  return { status: 0, code, detail: fault instanceof Error ? fault.message : String(fault), errors: [] }
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${plain(text)}\n`).join('')
}
