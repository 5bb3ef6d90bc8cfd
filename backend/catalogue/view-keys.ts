import type { ForeignKey, Relation } from './catalogue.ts'

/** An output column of a view that is a column of another relation, as it is. */
export type ColumnOrigin = { position: number; relationOid: number; columnPosition: number }

/** What is needed of a relation to follow a view's columns: positions are `attnum`s, which leave gaps for dropped columns. */
export type StoredRelation = {
  oid: number
  name: string
  columnPositions: ReadonlyMap<number, string>
  origins: readonly ColumnOrigin[]
}

/**
 * Reads the top target list of a view's stored query (`pg_rewrite.ev_action`, PostgreSQL's `nodeToString`): each entry says of
 * which relation and column it is a plain copy. Entries that are computed say none; so do all of a set operation (`union`).
 */
export function readColumnOrigins(storedQuery: string): readonly ColumnOrigin[] {
  const origins: ColumnOrigin[] = []
  let depth = 0
  let isInTargets = false
  let entry: { resno?: string; resorigtbl?: string; resorigcol?: string } = {}
  let field = ''
  for (const [token] of storedQuery.matchAll(/[{}]|(?:\\.|[^\s{}()\\])+/gs)) {
    if (token === '{') {
      depth += 1
      if (depth === 2) entry = {}
    } else if (token === '}') {
      if (depth === 2 && isInTargets && Number(entry.resorigtbl) > 0)
        origins.push({
          position: Number(entry.resno),
          relationOid: Number(entry.resorigtbl),
          columnPosition: Number(entry.resorigcol),
        })
      depth -= 1
    } else if (token.startsWith(':')) {
      field = token.slice(1)
      if (depth === 1) isInTargets = field === 'targetList'
    } else if (depth === 2) {
      if (field === 'resno' || field === 'resorigtbl' || field === 'resorigcol') entry[field] ??= token
    }
  }
  return origins
}

/** Column of a view → the table and column that it shows, through views of views. */
type ShownColumns = ReadonlyMap<string, { table: string; column: string }>

/**
 * Gives views the keys of the tables whose columns they show, as PostgREST does: a foreign key, when the view shows all its
 * columns, on either side; the primary key and uniques likewise. Constraints keep their names, so that hints work on views.
 */
export function deriveViewKeys(
  relations: ReadonlyMap<string, Relation>,
  stored: readonly StoredRelation[],
  foreignKeys: readonly ForeignKey[],
): { relations: ReadonlyMap<string, Relation>; foreignKeys: readonly ForeignKey[] } {
  const views = stored.filter((one) => one.origins.length > 0)
  if (views.length === 0) return { relations, foreignKeys }
  const byOid = new Map(stored.map((one) => [one.oid, one]))
  const derived = new Map(relations)
  /** By table: the views that show some of its columns, and how each of these is called there. */
  const shownBy = new Map<string, { view: string; names: ReadonlyMap<string, string> }[]>()
  for (const view of views) {
    const relation = relations.get(view.name)
    if (relation === undefined) continue
    const byTable = Map.groupBy(shownColumns(view, byOid), ([, shown]) => shown.table)
    const keys: { primaryKey: readonly string[]; uniques: (readonly string[])[] } = { primaryKey: [], uniques: [] }
    for (const [table, columns] of byTable) {
      // The first of several outputs of one column stands for it.
      const names = new Map(columns.toReversed().map(([name, shown]) => [shown.column, name]))
      shownBy.set(table, [...(shownBy.get(table) ?? []), { view: view.name, names }])
      const base = relations.get(table)
      const primaryKey = rename(base?.primaryKey ?? [], names)
      if (primaryKey !== undefined) keys.primaryKey = [...keys.primaryKey, ...primaryKey]
      for (const unique of base?.uniques ?? []) {
        const renamed = rename(unique, names)
        if (renamed !== undefined) keys.uniques.push(renamed)
      }
    }
    derived.set(view.name, { ...relation, ...keys })
  }
  const onReferencing = foreignKeys.flatMap((key) =>
    (shownBy.get(key.table) ?? []).flatMap(({ view, names }) => {
      const columns = rename(key.columns, names)
      return columns === undefined ? [] : [{ ...key, table: view, columns }]
    }),
  )
  const onReferenced = [...foreignKeys, ...onReferencing].flatMap((key) =>
    (shownBy.get(key.referencedTable) ?? []).flatMap(({ view, names }) => {
      const referencedColumns = rename(key.referencedColumns, names)
      return referencedColumns === undefined ? [] : [{ ...key, referencedTable: view, referencedColumns }]
    }),
  )
  return { relations: derived, foreignKeys: [...foreignKeys, ...onReferencing, ...onReferenced] }
}

function shownColumns(view: StoredRelation, byOid: ReadonlyMap<number, StoredRelation>): ShownColumns {
  const shown = new Map<string, { table: string; column: string }>()
  for (const origin of view.origins) {
    const name = view.columnPositions.get(origin.position)
    let source = byOid.get(origin.relationOid)
    let position = origin.columnPosition
    while (source !== undefined && source.origins.length > 0) {
      const next = source.origins.find((one) => one.position === position)
      source = next === undefined ? undefined : byOid.get(next.relationOid)
      position = next?.columnPosition ?? 0
    }
    const column = source?.columnPositions.get(position)
    if (name !== undefined && source !== undefined && column !== undefined)
      shown.set(name, { table: source.name, column })
  }
  return shown
}

/** `columns` under the view's names; `undefined` unless it shows all of them. */
function rename(columns: readonly string[], names: ReadonlyMap<string, string>): readonly string[] | undefined {
  const renamed = columns.flatMap((column) => names.get(column) ?? [])
  return columns.length > 0 && renamed.length === columns.length ? renamed : undefined
}
