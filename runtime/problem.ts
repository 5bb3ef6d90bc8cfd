/** One violated rule of an input: where (a JSON path such as `quotas.storage_bytes`) and what. */
export type FieldError = { path: string; message: string }

export type ProblemOptions = {
  /** What the caller may know of this occurrence. */
  detail?: string
  errors?: readonly FieldError[]
  /** Response headers that belong to the problem, such as `Retry-After`. */
  headers?: Readonly<Record<string, string>>
  /** The internal reason: logged, never rendered. */
  cause?: unknown
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  507: 'Insufficient Storage',
}

/**
 * A fault that carries its public face (status, stable code, detail, field errors) and its internal cause. It is thrown
 * anywhere and rendered once, at the edge, as an RFC 9457 problem document.
 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string | undefined
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, options: ProblemOptions = {}) {
    super(options.detail ?? code, { cause: options.cause })
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.detail = options.detail
    this.errors = options.errors
    this.headers = options.headers ?? {}
  }
}

/** The members of a problem document (RFC 9457, section 3) with our stable `code` and `request_id`. */
export type ProblemDocument = {
  type: string
  title: string
  status: number
  detail?: string
  instance: string
  code: string
  request_id: string
  errors?: readonly FieldError[]
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json'

/** Renders a problem for the request `requestId`. Anything that is not a `Problem` becomes a 500 that tells nothing. */
export function toProblemDocument(fault: unknown, requestId: string): ProblemDocument {
  const problem = asProblem(fault)
  return {
    type: `https://docs.aerodb.com/errors/${problem.code}`,
    title: TITLES[problem.status] ?? 'Error',
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    instance: `urn:aerodb:request:${requestId}`,
    code: problem.code,
    request_id: requestId,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  }
}

/** The fault itself where it is a `Problem`; otherwise a 500 `internal` with the fault as its hidden cause. */
export function asProblem(fault: unknown): Problem {
  if (fault instanceof Problem) return fault
  return new Problem(500, 'internal', { detail: 'Something went wrong on our side.', cause: fault })
}
