import type { Operation } from './openapi.ts'
import { SAMPLES, type Sample } from './samples.ts'

/** The same call three times: complete programs, but for what they take from the environment. */
export type Examples = { curl: string; javascript: string; python: string }

/** `{tenant_id}` is `TENANT_ID` in the environment of an example. */
export function variableOf(parameter: string): string {
  return parameter.toUpperCase()
}

const PARAMETER = /\{(\w+)\}/g
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are programs as text.
const AUTHORIZATION = 'authorization: `Bearer ${process.env.KEY}`'
const REFUSED = 'if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)'
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above

/** @throws Error when a call needs a body or a query and `samples.ts` has none. */
export function examplesOf(operation: Operation): Examples {
  const sample: Sample = SAMPLES[operation.name] ?? {}
  const needsBody = operation.body?.required === true && sample.body === undefined
  const missing = operation.parameters.filter(
    (one) => one.in === 'query' && one.required === true && sample.query?.[one.name] === undefined,
  )
  if (needsBody || missing.length > 0) throw new Error(`${operation.name} needs a sample of its body or query`)
  const query = sample.query === undefined ? '' : `?${new URLSearchParams(sample.query)}`
  const headers: [string, string][] = []
  if (sample.body !== undefined && operation.body !== undefined)
    headers.push(['Content-Type', operation.body.mediaType])
  headers.push(...Object.entries(sample.headers ?? {}))
  const path = operation.path.replaceAll(PARAMETER, (whole, name: string) => sample.path?.[name] ?? whole)
  const call = { ...operation, path, query, headers, body: sample.body, file: sample.file }
  return { curl: curl(call), javascript: javascript(call), python: python(call) }
}

type Call = Omit<Operation, 'headers' | 'body'> & {
  query: string
  headers: [string, string][]
  body: unknown
  file: string | undefined
}

/** A string of a sample that names a variable of the environment. */
const VARIABLE = /^\$([A-Z_]+)$/

function curl({ method, path, query, headers, body, isPublic, file }: Call): string {
  const url = `"$API${path.replaceAll(PARAMETER, (_, name: string) => `$${variableOf(name)}`)}${query}"`
  const lines = [`curl -sS --fail-with-body${method === 'GET' ? '' : ` -X ${method}`} ${url}`]
  if (!isPublic) lines.push(`-H "Authorization: Bearer $KEY"`)
  for (const [name, value] of headers) lines.push(`-H '${name}: ${value}'`)
  if (body !== undefined) lines.push(`-d '${JSON.stringify(body).replaceAll(/"\$([A-Z_]+)"/g, `"'"$$$1"'"`)}'`)
  if (file !== undefined) lines.push(`-o ${file}`)
  return lines.join(' \\\n  ')
}

function javascript({ method, path, query, headers, body, isPublic, file, responses }: Call): string {
  const url = path.replaceAll(PARAMETER, (_, name: string) => `\${process.env.${variableOf(name)}}`)
  const options: string[] = []
  if (method !== 'GET') options.push(`method: '${method}',`)
  const fields = [
    ...(isPublic ? [] : [AUTHORIZATION]),
    ...headers.map(([name, value]) => `${quoteName(name.toLowerCase())}: '${value}'`),
  ]
  if (fields.length > 0) options.push(`headers: { ${fields.join(', ')} },`)
  if (body !== undefined) options.push(`body: JSON.stringify(${literal(body)}),`)
  const call =
    options.length === 0
      ? `await fetch(\`\${process.env.API}${url}${query}\`)`
      : `await fetch(\`\${process.env.API}${url}${query}\`, {\n${options.map((line) => `  ${line}\n`).join('')}})`
  const lines = [
    ...(file === undefined ? [] : [`import { writeFile } from 'node:fs/promises'\n`]),
    `const response = ${call}`,
    REFUSED,
  ]
  if (file !== undefined) lines.push(`await writeFile('${file}', await response.bytes())`)
  else if (answers(responses) === 'json') lines.push('console.log(await response.json())')
  else if (answers(responses) === 'text') lines.push('console.log(await response.text())')
  return lines.join('\n')
}

function python({ method, path, query, headers, body, isPublic, file, responses }: Call): string {
  const url = path.replaceAll(PARAMETER, (_, name: string) => `{os.environ['${variableOf(name)}']}`)
  const fields = [
    ...(isPublic ? [] : [`"Authorization": f"Bearer {os.environ['KEY']}"`]),
    ...headers.map(([name, value]) => `"${name}": "${value}"`),
  ]
  const rest = [
    ...(fields.length > 0 ? [`headers={${fields.join(', ')}},`] : []),
    ...(body === undefined ? [] : [`json=${pythonLiteral(body)},`]),
  ]
  const address = `f"{os.environ['API']}${url}${query}"`
  const call = `requests.${method.toLowerCase()}(\n    ${[`${address},`, ...rest].join('\n    ')}\n)`
  const lines = ['import os', 'import requests', '', `response = ${call}`, 'response.raise_for_status()']
  if (file !== undefined) lines.push(`with open("${file}", "wb") as file:`, '    file.write(response.content)')
  else if (answers(responses) === 'json') lines.push('print(response.json())')
  else if (answers(responses) === 'text') lines.push('print(response.text)')
  return lines.join('\n')
}

/** What a call that went well answers with. */
function answers(responses: Operation['responses']): 'json' | 'text' | 'nothing' {
  const good = responses.filter(({ status }) => status.startsWith('2'))
  const types = good.flatMap(({ mediaTypes }) => mediaTypes)
  if (types.includes('application/json') && !good.some(({ status }) => status === '204')) return 'json'
  return types.length > 0 ? 'text' : 'nothing'
}

function quoteName(name: string): string {
  return /^[a-z]+$/.test(name) ? name : `'${name}'`
}

/** A JSON value as JavaScript is written by hand. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${/^[a-z_]\w*$/i.test(name) ? name : `'${name}'`}: ${literal(one)}`)
      .join(', ')} }`
  if (typeof value !== 'string') return JSON.stringify(value)
  const variable = VARIABLE.exec(value)
  return variable === null ? `'${value}'` : `process.env.${variable[1]}`
}

/** A JSON value as Python has it. */
function pythonLiteral(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, one]) => `"${name}": ${pythonLiteral(one)}`)
      .join(', ')}}`
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  const variable = typeof value === 'string' ? VARIABLE.exec(value) : null
  return variable === null ? JSON.stringify(value) : `os.environ["${variable[1]}"]`
}
