import { CommanderError } from '@commander-js/extra-typings'
import { CliFault, describeFault, EXIT, exitCodeOf, renderFault } from './fault.ts'
import { makeProgram } from './program.ts'
import { openSession } from './session.ts'

const calledFrom = process.env.AERODB_CALLED_FROM
if (calledFrom !== undefined && calledFrom !== '') process.chdir(calledFrom)

// A reader that has had enough (`| head`) is no fault of ours.
process.stdout.on('error', (fault: NodeJS.ErrnoException) =>
  process.exit(fault.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
)
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

const program = makeProgram((work) => work(openSession(process.env, program.opts(), interrupted.signal)))
try {
  await program.parseAsync()
} catch (fault) {
  process.exitCode = report(fault)
}

/** Says what went wrong, unless commander has, and tells the exit code. */
function report(fault: unknown): number {
  // Asked for help or version: 0. No subcommand, or a wrong command line: it has been shown how.
  if (fault instanceof CommanderError) return fault.exitCode === 0 ? EXIT.ok : EXIT.usage
  const isAborted = interrupted.signal.aborted || (fault instanceof Error && fault.name === 'AbortError')
  if (isAborted && !(fault instanceof CliFault)) return EXIT.interrupted
  process.stderr.write(program.opts().json === true ? `${JSON.stringify(describeFault(fault))}\n` : renderFault(fault))
  return exitCodeOf(fault)
}
