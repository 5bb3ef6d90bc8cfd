import { Problem } from '../../runtime/problem.ts'
import {
  type AlterCollection,
  alterCollectionSchema,
  type Collection,
  type CreateCollection,
  createCollectionSchema,
} from './collection.ts'
import { isKnownDefault } from './default-expression.ts'
import type { SchemaVersion } from './versions.ts'

/** What takes a change back. */
export type Undoing =
  | { kind: 'drop' }
  | { kind: 'create'; collection: CreateCollection }
  | { kind: 'alter'; steps: readonly AlterCollection[] }

type Column = Collection['columns'][number]

/**
 * How a version is taken back: the collection gets the definition that it had before, as the API shows it. Rows of a dropped
 * collection and values of a dropped column do not come back: that takes a backup. All of it is read by the schemas that
 * requests are read by, since a tenant with SQL of its own can write to the versions.
 * @throws Problem 409 `version_not_undoable`.
 */
export function planUndo(version: SchemaVersion): Undoing {
  const { action, before, change } = version
  if (action === 'create') return { kind: 'drop' }
  if (action === 'undo') throw notUndoable('It is an undo itself: make the change again.')
  if (before === null) throw notUndoable('What was there before is not known.')
  if (action === 'drop') return { kind: 'create', collection: read(createCollectionSchema, creationOf(before)) }
  const made = read(alterCollectionSchema, change)
  const oldNames = new Map((made.rename ?? []).map(({ from, to }) => [to, from]))
  const dropped = (made.drop ?? []).map((name) => {
    const column = before.columns.find((one) => one.name === (oldNames.get(name) ?? name))
    if (column === undefined) throw notUndoable(`What the column "${name}" was is not known.`)
    return { ...columnInput(column), name }
  })
  const steps = [
    ...(made.rls === undefined ? [] : [{ rls: { policy: 'none' } }]),
    ...(made.add === undefined ? [] : [{ drop: made.add.map((column) => column.name) }]),
    ...(dropped.length === 0 ? [] : [{ add: dropped }]),
    ...(made.rename === undefined ? [] : [{ rename: made.rename.map(({ from, to }) => ({ from: to, to: from })) }]),
    ...(made.rls === undefined ? [] : [{ rls: before.rls }]),
  ]
  return { kind: 'alter', steps: steps.map((step) => read(alterCollectionSchema, step)) }
}

function creationOf({ name, columns, primary_key, rls }: Collection): unknown {
  // An `id` of our own making counts by itself; it is made again by leaving it out.
  const isOurs = (column: Column) => column.name === 'id' && column.default === null && column.type === 'bigint'
  const [key] = primary_key
  const hasOwnId = primary_key.length === 1 && columns.some((column) => column.name === key && isOurs(column))
  return {
    name,
    columns: columns.filter((column) => !(hasOwnId && column.name === 'id')).map(columnInput),
    ...(hasOwnId ? {} : { primary_key }),
    rls,
  }
}

function columnInput({ default: text, ...column }: Column): Record<string, unknown> {
  if (text === null) return column
  if (text.includes('request.jwt.claims')) return { ...column, default: 'auth.uid()' }
  if (!isKnownDefault(text)) throw notUndoable(`The default of "${column.name}" cannot be made again.`)
  return { ...column, default: text }
}

function read<Output>(
  schema: { safeParse(input: unknown): { success: true; data: Output } | { success: false } },
  input: unknown,
): Output {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw notUndoable('What was there before was not made with this API.')
}

function notUndoable(detail: string): Problem {
  return new Problem(409, 'version_not_undoable', { detail })
}
