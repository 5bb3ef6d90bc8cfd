import { z } from 'zod'

/** The part of JSON Schema (2020-12, as OpenAPI 3.1 uses it) that control's document is written in. */
const schemaSchema = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  get properties() {
    return z.record(z.string(), schemaSchema).optional()
  },
  required: z.array(z.string()).optional(),
  get additionalProperties() {
    return z.union([z.boolean(), schemaSchema]).optional()
  },
  get items() {
    return schemaSchema.optional()
  },
  get anyOf() {
    return z.array(schemaSchema).optional()
  },
  get oneOf() {
    return z.array(schemaSchema).optional()
  },
  get allOf() {
    return z.array(schemaSchema).optional()
  },
  description: z.string().optional(),
})
type Schema = z.output<typeof schemaSchema>

const content = z.record(z.string(), z.object({ schema: schemaSchema.default({}) })).optional()
const operationSchema = z.object({
  summary: z.string().optional(),
  parameters: z
    .array(z.object({ in: z.string(), name: z.string(), required: z.boolean().optional(), schema: schemaSchema }))
    .default([]),
  requestBody: z.object({ required: z.boolean().optional(), content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content })),
})
type Operation = z.output<typeof operationSchema>

const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const
const documentSchema = z.object({
  paths: z.record(z.string(), z.partialRecord(z.enum(METHODS), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), schemaSchema) }),
})

/**
 * The types that `openapi-fetch` works with, from an OpenAPI 3.1 document: `components`, then `paths`. (The usual generator,
 * openapi-typescript, is built on the JavaScript compiler API, which TypeScript 7 does not have.)
 * @throws ZodError when the document uses what is not foreseen here.
 */
export function renderTypes(document: unknown): string {
  const { paths, components } = documentSchema.parse(document)
  const schemas = sorted(components.schemas).map(([name, schema]) => member(name, schema, true, 2))
  const items = sorted(paths).map(([path, item]) => {
    const methods = METHODS.flatMap((method) => {
      const operation = item[method]
      return operation === undefined ? [] : [`${doc(operation.summary, 2)}    ${method}: ${renderOperation(operation)}`]
    })
    return `  ${JSON.stringify(path)}: {\n${methods.join('\n')}\n  }`
  })
  return `// Made from control's OpenAPI document by \`npm run generate:client\`. Do not edit.

export interface components {
  schemas: {
${schemas.join('\n')}
  }
}

export interface paths {
${items.join('\n')}
}
`
}

function renderOperation(operation: Operation): string {
  const places = ['query', 'header', 'path', 'cookie'].map((place) => {
    const parameters = operation.parameters.filter((one) => one.in === place)
    if (parameters.length === 0) return `${place}?: never`
    const isRequired = parameters.some((one) => one.required === true)
    const members = parameters.map((one) => member(one.name, one.schema, one.required === true, 5))
    return `${place}${isRequired ? '' : '?'}: {\n${members.join('\n')}\n        }`
  })
  const body = operation.requestBody
  const requestBody =
    body === undefined
      ? 'requestBody?: never'
      : `requestBody${body.required === true ? '' : '?'}: { content: ${renderContent(body.content)} }`
  const responses = Object.entries(operation.responses).map(
    ([status, response]) =>
      `        ${status}: { headers: { [name: string]: unknown }; content${response.content === undefined ? '?: never' : `: ${renderContent(response.content)}`} }`,
  )
  return `{
      parameters: {
        ${places.join('\n        ')}
      }
      ${requestBody}
      responses: {
${responses.join('\n')}
      }
    }`
}

function renderContent(types: Operation['responses'][string]['content']): string {
  const members = Object.entries(types ?? {}).map(
    ([type, { schema }]) => `${JSON.stringify(type)}: ${render(schema, 4)}`,
  )
  return `{ ${members.join('; ')} }`
}

function member(name: string, schema: Schema, isRequired: boolean, depth: number): string {
  const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
  return `${doc(schema.description, depth)}${'  '.repeat(depth)}${key}${isRequired ? '' : '?'}: ${render(schema, depth)}`
}

function doc(text: string | undefined, depth: number): string {
  return text === undefined ? '' : `${'  '.repeat(depth)}/** ${text.replaceAll('*/', '*\u200b/')} */\n`
}

function render(schema: Schema, depth: number): string {
  if (schema.$ref !== undefined)
    return `components['schemas'][${quote(schema.$ref.replace('#/components/schemas/', ''))}]`
  if (schema.enum !== undefined) return union(schema.enum.map(quote))
  if (schema.const !== undefined) return quote(schema.const)
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) return union(alternatives.map((one) => render(one, depth)))
  if (schema.allOf !== undefined) return schema.allOf.map((one) => render(one, depth)).join(' & ')
  const types = Array.isArray(schema.type) ? schema.type : [schema.type]
  return union(types.map((type) => renderType(type, schema, depth)))
}

function renderType(type: string | undefined, schema: Schema, depth: number): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'number':
    case 'null':
      return type
    case 'integer':
      return 'number'
    case 'array':
      return `(${render(schema.items ?? {}, depth)})[]`
    case 'object':
      return renderObject(schema, depth)
    default:
      return 'unknown'
  }
}

function renderObject(schema: Schema, depth: number): string {
  const required = new Set(schema.required)
  const members = Object.entries(schema.properties ?? {}).map(([name, value]) =>
    member(name, value, required.has(name), depth + 1),
  )
  const { additionalProperties } = schema
  if (members.length === 0) {
    const value = typeof additionalProperties === 'object' ? render(additionalProperties, depth) : 'unknown'
    return `{ [name: string]: ${value} }`
  }
  // Members that a later version adds are not typed: what is known is checked the more strictly.
  return `{\n${members.join('\n')}\n${'  '.repeat(depth)}}`
}

function union(members: readonly string[]): string {
  return [...new Set(members)].join(' | ')
}

function quote(value: unknown): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : JSON.stringify(value)
}

function sorted<Value>(record: Readonly<Record<string, Value>>): [string, Value][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
}
