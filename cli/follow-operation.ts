import { setTimeout as sleep } from 'node:timers/promises'
import { Listr, ListrLogger, ProcessOutput } from 'listr2'
import { type Document, type PlatformClient, PlatformProblem, unwrap } from '../client/platform-client.ts'
import { CliFault, EXIT } from './fault.ts'
import type { Session } from './session.ts'
import { plain } from './table.ts'

export type Operation = Document<'Operation'>

const FIRST_POLL_MS = 200
const MAX_POLL_MS = 2_000

/**
 * Follows an operation to its end and shows its step on stderr: moving at a terminal, else a line for each step. A platform
 * that is away for a while is waited for.
 * @throws CliFault when the operation failed, or when `timeoutSeconds` are over before it.
 */
export async function followOperation(
  session: Session,
  api: PlatformClient,
  operation: Operation,
  title: string,
  timeoutSeconds = 3_600,
): Promise<Operation> {
  const until = Date.now() + timeoutSeconds * 1_000
  try {
    return await showProgress(session, title, (tell) => poll(session, api, operation, until, tell))
  } catch (fault) {
    if (session.signal.aborted)
      session.out.note(`It goes on without us: aerodb operations wait ${operation.operation_id}`)
    throw fault
  }
}

async function poll(
  session: Session,
  api: PlatformClient,
  begun: Operation,
  untilMs: number,
  tell: (step: string) => void,
): Promise<Operation> {
  let operation = begun
  const id = begun.operation_id
  for (let pollMs = FIRST_POLL_MS; operation.status === 'running'; pollMs = Math.min(pollMs * 1.5, MAX_POLL_MS)) {
    tell(operation.step ?? 'waiting')
    if (Date.now() >= untilMs)
      throw new CliFault(
        EXIT.stillRunning,
        'still_running',
        `The operation ${id} is still running.`,
        `aerodb operations wait ${id}`,
      )
    await sleep(Math.min(pollMs, Math.max(0, untilMs - Date.now())), undefined, { signal: session.signal })
    try {
      operation = unwrap(await api.GET('/v1/operations/{operation_id}', { params: { path: { operation_id: id } } }))
    } catch (fault) {
      const isAway = fault instanceof PlatformProblem && (fault.status === 0 || fault.status >= 500)
      if (session.signal.aborted || !isAway) throw fault
      tell('the platform is away')
    }
  }
  if (operation.status === 'failed') {
    const { code = 'unknown', detail = 'The operation failed.' } = operation.error ?? {}
    throw new CliFault(EXIT.operationFailed, code, detail, `(operation ${id}, code ${code})`)
  }
  return operation
}

async function showProgress<Result>(
  session: Session,
  title: string,
  work: (tell: (step: string) => void) => Promise<Result>,
): Promise<Result> {
  if (session.options.quiet === true || session.out.isJson) return work(() => {})
  // A terminal without a width cannot be drawn on.
  if (!process.stderr.isTTY || !(process.stderr.columns > 0)) {
    let last = ''
    const result = await work((step) => {
      if (step !== last) session.out.note(`${title}: ${step}`)
      last = step
    })
    session.out.note(`${title}: done`)
    return result
  }
  let result: Result | undefined
  const tasks = new Listr(
    [
      {
        title: plain(title),
        task: async (_context, task) => {
          result = await work((step) => {
            task.output = plain(step)
          })
        },
      },
    ],
    {
      registerSignalListeners: false,
      rendererOptions: {
        showErrorMessage: false,
        logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
      },
    },
  )
  await tasks.run()
  return result as Result
}
