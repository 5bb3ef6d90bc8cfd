import { z } from 'zod'
import { isOwnTable } from '../../tenancy/own-tables.ts'
import { TENANT_COLUMN } from '../catalogue/catalogue.ts'
import { parseColumnType } from './column-types.ts'
import { POLICIES, type RuledCommand } from './policies.ts'
import { columnsOf, parseRowRule, type RowRule, RowRuleError } from './row-rule.ts'

/** Postgres cuts identifiers at 63 bytes; we refuse instead. */
const MAX_IDENTIFIER_BYTES = 63
const IDENTIFIER = /^[\p{L}_][\p{L}\p{N}_]*$/u
const MAX_COLUMNS = 200

const identifier = z
  .string()
  .regex(IDENTIFIER, 'must begin with a letter or _ and hold letters, digits and _ only')
  .refine(
    (name) => Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES,
    `must be at most ${MAX_IDENTIFIER_BYTES} bytes long`,
  )

/** A column's name; the tenant column is ours. */
const columnName = identifier.refine((name) => name.toLowerCase() !== TENANT_COLUMN, 'is reserved')

/** A collection's name; `rpc` is where functions are called. */
export const collectionName = identifier.refine((name) => name !== 'rpc' && !isOwnTable(name), 'is reserved')

const columnType = z
  .string()
  .max(100)
  .transform((text, context) => {
    const type = parseColumnType(text)
    if (type !== undefined) return type
    context.addIssue({ code: 'custom', message: 'is not a type that a column can have' })
    return z.NEVER
  })

/** `authors.id`: a column of another collection of the same tenant. */
const reference = z.string().transform((text, context) => {
  const [table = '', column = '', ...rest] = text.split('.')
  if (rest.length === 0 && collectionName.safeParse(table).success && columnName.safeParse(column).success)
    return { table, column }
  context.addIssue({ code: 'custom', message: 'must have the form collection.column' })
  return z.NEVER
})

const columnSchema = z.strictObject({
  name: columnName,
  type: columnType,
  nullable: z.boolean().default(true),
  default: z.json().optional(),
  unique: z.boolean().default(false),
  references: reference.nullish().transform((value) => value ?? undefined),
})
export type ColumnInput = z.output<typeof columnSchema>

const rowRule = z.string().transform((text, context): RowRule => {
  try {
    return parseRowRule(text)
  } catch (fault) {
    if (!(fault instanceof RowRuleError)) throw fault
    context.addIssue({ code: 'custom', message: fault.message })
    return z.NEVER
  }
})

const rowSecuritySchema = z
  .strictObject({
    policy: z.enum(POLICIES),
    owner_column: columnName.nullish(),
    rules: z.strictObject({ select: rowRule, insert: rowRule, update: rowRule, delete: rowRule }).partial().default({}),
  })
  .refine((rls) => rls.policy !== 'owner' || rls.owner_column != null, {
    path: ['owner_column'],
    message: 'is required by the policy owner',
  })
  .refine((rls) => (rls.policy !== 'none' && rls.policy !== 'custom') || rls.owner_column == null, {
    path: ['owner_column'],
    message: 'means nothing under this policy',
  })
  .refine((rls) => (rls.policy === 'custom') === Object.keys(rls.rules).length > 0, {
    path: ['rules'],
    message: 'are required by the policy custom, and mean nothing under another',
  })
  .superRefine(({ rules }, context) => {
    for (const [command, rule] of Object.entries(rules))
      for (const name of rule === undefined ? [] : columnsOf(rule))
        if (!columnName.safeParse(name).success)
          context.addIssue({ code: 'custom', path: ['rules', command], message: `names "${name}", which is no column` })
  })

export const createCollectionSchema = z
  .strictObject({
    name: collectionName,
    columns: z.array(columnSchema).max(MAX_COLUMNS).default([]),
    primary_key: z.array(columnName).max(32).nullish(),
    rls: rowSecuritySchema.default({ policy: 'none', rules: {} }),
  })
  .superRefine((collection, context) => {
    const names = collection.columns.map((column) => column.name)
    names.forEach((name, i) => {
      if (names.indexOf(name) !== i)
        context.addIssue({ code: 'custom', path: ['columns', i, 'name'], message: 'is used twice' })
    })
    for (const [i, name] of (collection.primary_key ?? []).entries())
      if (!names.includes(name)) context.addIssue({ code: 'custom', path: ['primary_key', i], message: 'is no column' })
    const owner = collection.rls.owner_column
    if (owner != null && !names.includes(owner))
      context.addIssue({ code: 'custom', path: ['rls', 'owner_column'], message: 'is no column' })
  })
export type CreateCollection = z.output<typeof createCollectionSchema>

const oneOrMany = <T extends z.ZodType>(schema: T) =>
  z.union([z.array(schema).min(1).max(MAX_COLUMNS), schema.transform((value) => [value])])

/** `{"from","to"}`, a list of them, or an object of old and new names. */
const renames = z.union([
  oneOrMany(z.strictObject({ from: columnName, to: columnName })),
  z.record(columnName, columnName).transform((names) => Object.entries(names).map(([from, to]) => ({ from, to }))),
])

export const alterCollectionSchema = z
  .strictObject({
    add: oneOrMany(columnSchema).optional(),
    drop: oneOrMany(columnName).optional(),
    rename: renames.optional(),
    /** Another policy in place of the one of now. */
    rls: rowSecuritySchema.optional(),
  })
  .refine(
    (change) => Object.values(change).some((value) => value !== undefined),
    'must say what to add, drop or rename, or the policy',
  )
export type AlterCollection = z.output<typeof alterCollectionSchema>

/** A collection as the API shows it. */
export type Collection = {
  name: string
  columns: {
    name: string
    type: string
    nullable: boolean
    default: string | null
    unique: boolean
    references: string | null
  }[]
  primary_key: string[]
  rls: { policy: string | null; owner_column: string | null; rules?: Partial<Record<RuledCommand, string>> }
}
