import { examplesOf, variableOf } from './examples.ts'
import { type Group, nameOf, type Operation, operationsOf, resolve, type Schema } from './openapi.ts'
import { SAMPLES, WITHOUT_EXAMPLE } from './samples.ts'

/** A page of the API reference as Markdown. */
export function referencePage(group: Group): string {
  return [`# ${group.title}`, group.introduction, ...operationsOf(group).map(section)].join('\n\n')
}

function section(operation: Operation): string {
  const { summary, method, path, description, isPublic } = operation
  const parts = [
    `## ${text(summary)}`,
    `\`${method} ${path}\`${isPublic ? ' · needs no key' : ''}`,
    ...(description === undefined ? [] : [text(description)]),
    parameterTable(operation),
    bodyTable(operation),
    exampleTabs(operation),
    answerTable(operation),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function parameterTable({ parameters }: Operation): string {
  return table(
    ['parameter', 'in', 'type', ''],
    parameters
      .filter(
        ({ in: place, description, schema }) => place !== 'path' || (description ?? schema.description) !== undefined,
      )
      .map((one) => [
        `\`${one.name}\``,
        one.in === 'query' && one.required ? 'query, required' : one.in,
        typeOf(one.schema),
        text(one.description ?? one.schema.description ?? ''),
      ]),
  )
}

function bodyTable({ body }: Operation): string {
  if (body === undefined) return ''
  const schema = resolve(body.schema)
  return [
    `The body is \`${body.mediaType}\`${body.required ? '' : ' and may be left out'}.${schema.description === undefined ? '' : ` ${text(schema.description)}`}`,
    fieldTable(schema),
  ].join('\n\n')
}

/** The members of an object, those of objects within it behind a dot. */
function fieldTable(schema: Schema): string {
  return table(['member', 'type', ''], fields(schema, '', new Set()))
}

function fields(schema: Schema, prefix: string, above: ReadonlySet<Schema>): string[][] {
  if (above.has(schema)) return []
  return Object.entries(schema.properties ?? {}).flatMap(([name, referenced]) => {
    const member = resolve(referenced)
    const isRequired = schema.required?.includes(name) === true
    const notes = [isRequired && prefix === '' ? 'Required.' : '', text(member.description ?? ''), limits(member)]
    const row = [`\`${prefix}${name}\``, typeOf(referenced), notes.filter((note) => note !== '').join(' ')]
    const inner = member.items === undefined ? member : resolve(member.items)
    const suffix = member.items === undefined ? '' : '[]'
    return [row, ...fields(inner, `${prefix}${name}${suffix}.`, new Set([...above, schema]))]
  })
}

function typeOf(referenced: Schema): string {
  const schema = resolve(referenced)
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${String(one)}\``).join(', ')
  const types = [schema.type ?? []].flat()
  if (types.length === 0 && (schema.anyOf ?? schema.oneOf) !== undefined)
    return (schema.anyOf ?? schema.oneOf ?? []).map(typeOf).join(' or ')
  const name = types.includes('array') && schema.items !== undefined ? `list of ${typeOf(schema.items)}` : ''
  return (
    types.map((type) => (type === 'array' && name !== '' ? name : (schema.format ?? type))).join(' or ') || 'object'
  )
}

function limits(schema: Schema): string {
  const notes: string[] = []
  if (schema.minLength !== undefined || schema.maxLength !== undefined)
    notes.push(`${schema.minLength ?? 0} to ${schema.maxLength ?? 'any number of'} characters.`)
  if (schema.default !== undefined) notes.push(`Default \`${JSON.stringify(schema.default)}\`.`)
  return notes.join(' ')
}

function exampleTabs(operation: Operation): string {
  const excuse = WITHOUT_EXAMPLE.get(operation.name)
  if (excuse !== undefined) return excuse
  const { curl, javascript, python } = examplesOf(operation)
  const fixed = SAMPLES[operation.name]?.path ?? {}
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].flatMap(([, name = '']) =>
    name in fixed ? [] : [`\`${variableOf(name)}\``],
  )
  const environment = names.length === 0 ? '' : `From the environment: ${names.join(', ')}.\n\n`
  return `${environment}::: code-group
\`\`\`sh [curl]
${curl}
\`\`\`
\`\`\`js [JavaScript]
${javascript}
\`\`\`
\`\`\`python [Python]
${python}
\`\`\`
:::`
}

function answerTable({ responses }: Operation): string {
  const answers = responses.map(({ status, description, schema }) => {
    const name = schema === undefined ? undefined : nameOf(schema)
    return [`\`${status}\``, `${text(description)}${name === undefined || name === 'Problem' ? '' : ` (${name})`}`]
  })
  const good = responses.find(({ status, schema }) => status.startsWith('2') && schema !== undefined)
  const members = good?.schema === undefined ? '' : fieldTable(resolve(good.schema))
  const details = members === '' ? '' : `\n\n::: details The answer, member by member\n${members}\n:::`
  return `${table(['answer', ''], answers)}${details}`
}

function table(head: readonly string[], rows: readonly string[][]): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Text of the document as Markdown that Vue leaves alone: what is in backticks stays. */
function text(written: string): string {
  return written
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replaceAll('<', '&lt;').replaceAll('{{', '&#123;&#123;')))
    .join('')
    .replaceAll('\n', ' ')
}
