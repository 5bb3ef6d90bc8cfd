import type { CallableFunction, Catalogue, FunctionArgument, Relation } from '../../catalogue/catalogue.ts'
import { BINARY_OPERATORS, SEARCH_FUNCTIONS } from '../grammar/ast.ts'
import { parseQueryString } from '../grammar/query-string.ts'
import type { RestRequest } from '../request/rest-request.ts'
import { RestError } from '../rest-error.ts'
import { closest, PUBLIC_SCHEMA, UnknownNameError } from './names.ts'
import type { ReadPlan } from './plan.ts'
import { planRead, type ReadLimits } from './plan-read.ts'

/** A call of a function, with what is read of its result. */
export type CallPlan = {
  kind: 'call'
  callable: CallableFunction
  /** The arguments that are passed, by name; an unnamed one gets the whole body. */
  passed: readonly FunctionArgument[]
  /** JSON text: the arguments as an object, or the body for the unnamed one. */
  json: string
  isReadOnly: boolean
  isHead: boolean
  /** For results that are rows. */
  read: ReadPlan | undefined
}

type Arguments = { json: string; names: readonly string[]; isBody: boolean }

const OPERATORS = new Set(['not', 'in', 'is', ...Object.keys(BINARY_OPERATORS), ...Object.keys(SEARCH_FUNCTIONS)])
const RESERVED = /^(?:select|columns|on_conflict|(?:.*\.)?(?:order|limit|offset|and|or))$/

/** Resolves a request on `/rpc/<name>`. @throws RestError. */
export function planCall(catalogue: Catalogue, request: RestRequest, limits: ReadLimits): CallPlan {
  if (request.target.kind !== 'function') throw new Error('unreachable')
  const { name } = request.target
  const isGet = request.method === 'GET' || request.method === 'HEAD'
  if (!isGet && request.method !== 'POST')
    throw new RestError(405, 'PGRST101', `Cannot use the ${request.method} method on RPC`)
  const overloads = catalogue.functions.get(name) ?? []
  const parameters = isGet ? request.parameters.filter(([key, value]) => !RESERVED.test(key) && !isFilter(value)) : []
  const args = isGet ? fromQuery(overloads, parameters) : fromBody(request.callBody ?? '')
  const callable = choose(catalogue, name, overloads, args)
  const passed = callable.arguments.filter((argument) => argument.name === '' || args.names.includes(argument.name))
  const relation = resultRelation(catalogue, callable)
  const rest = request.parameters.filter((parameter) => !parameters.includes(parameter))
  return {
    kind: 'call',
    callable,
    passed,
    json: args.json,
    isReadOnly: isGet || callable.volatility !== 'volatile',
    isHead: request.method === 'HEAD',
    read: relation === undefined ? undefined : planRead(catalogue, relation, parseQueryString(rest), limits),
  }
}

function isFilter(value: string): boolean {
  return OPERATORS.has(/^([a-z]+)(?:\([^)]*\))?\./.exec(value)?.[1] ?? '')
}

/** Query parameters are texts; a variadic argument may come several times. */
function fromQuery(
  overloads: readonly CallableFunction[],
  parameters: readonly (readonly [string, string])[],
): Arguments {
  const variadic = new Set(
    overloads.flatMap((callable) =>
      callable.arguments.filter((argument) => argument.isVariadic).map(({ name }) => name),
    ),
  )
  const values = new Map<string, string | string[]>()
  for (const [key, value] of parameters) {
    if (!variadic.has(key)) values.set(key, value)
    else values.set(key, [...(values.get(key) ?? []), value])
  }
  return { json: JSON.stringify(Object.fromEntries(values)), names: [...values.keys()], isBody: false }
}

function fromBody(body: string): Arguments {
  if (body.trim() === '') return { json: '{}', names: [], isBody: true }
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw new RestError(400, 'PGRST102', 'Empty or invalid json')
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return { json: body, names: isObject ? Object.keys(value as object) : [], isBody: true }
}

/** The overload that takes exactly these arguments, or one with a single unnamed JSON argument. @throws RestError. */
function choose(
  catalogue: Catalogue,
  name: string,
  overloads: readonly CallableFunction[],
  args: Arguments,
): CallableFunction {
  const matching = overloads.filter(
    ({ arguments: all }) =>
      args.names.every((key) => all.some((argument) => argument.name === key)) &&
      all.every((argument) => argument.hasDefault || argument.isVariadic || args.names.includes(argument.name)),
  )
  const [first, second] = matching
  if (first !== undefined && second === undefined) return first
  if (first !== undefined)
    throw new RestError(
      300,
      'PGRST203',
      `Could not choose the best candidate function between: ${matching.map(signature).join(', ')}`,
      {
        hint: 'Try renaming the parameters or the function itself in the database so function overloading can be resolved',
      },
    )
  const whole = overloads.find(
    ({ arguments: all }) => all.length === 1 && all[0]?.name === '' && /^jsonb?$/.test(all[0].type),
  )
  if (args.isBody && whole !== undefined) return whole
  const listed = args.names.length === 0 ? 'without parameters' : `with parameters ${args.names.join(', ')}`
  const [only] = args.names
  const described =
    args.names.length === 0
      ? 'without parameters'
      : args.names.length === 1
        ? `(${only})`
        : `(${args.names.join(', ')})`
  const similar = overloads.length > 0 ? undefined : closest(name, catalogue.functions.keys())
  throw new UnknownNameError(
    404,
    'PGRST202',
    `Could not find the function ${PUBLIC_SCHEMA}.${name}${args.names.length === 0 ? ' ' : ''}${described} in the schema cache`,
    {
      details: `Searched for the function ${PUBLIC_SCHEMA}.${name} ${listed}, but no matches were found in the schema cache.`,
      hint: similar === undefined ? null : `Perhaps you meant to call the function ${PUBLIC_SCHEMA}.${similar}`,
    },
  )
}

function signature(callable: CallableFunction): string {
  return `${PUBLIC_SCHEMA}.${callable.name}(${callable.arguments.map(({ name, type }) => `${name} => ${type}`).join(', ')})`
}

/** What the result's columns are, for results that are rows. */
function resultRelation(catalogue: Catalogue, { name, returns }: CallableFunction): Relation | undefined {
  if (returns.kind === 'relation') return catalogue.relations.get(returns.name)
  if (returns.kind !== 'record') return undefined
  return {
    name,
    kind: 'view',
    columns: new Map(returns.columns.map((column) => [column.name, column])),
    computedColumns: new Map(),
    primaryKey: [],
    uniques: [],
    insertable: false,
    updatable: false,
    deletable: false,
    comment: null,
  }
}
