import type { ReadPlan } from '../plan/plan.ts'
import type { MediaType } from '../request/media-type.ts'
import type { SqlBuilder } from './sql-builder.ts'

/** The body over the rows `r`. */
export function renderBody(builder: SqlBuilder, accept: MediaType, read: ReadPlan): string {
  switch (accept.kind) {
    case 'plan':
      return renderBody(builder, accept.of, read)
    case 'object': {
      const rows = accept.stripNulls
        ? 'pg_catalog.json_strip_nulls(pg_catalog.json_agg(r.*))'
        : 'pg_catalog.json_agg(r.*)'
      return `coalesce((${rows} -> 0)::text, 'null')`
    }
    case 'csv': {
      const header = csvHeader(read)
      return `case when pg_catalog.count(*) = 0 then '' else ${builder.bind(header)}::text end || E'\\n' || coalesce(pg_catalog.string_agg(pg_catalog.substring((r.*)::text, 2, pg_catalog.length((r.*)::text) - 2), E'\\n'), '')`
    }
    case 'openapi':
    case 'json': {
      const isStripped = accept.kind === 'json' && accept.stripNulls
      const rows = isStripped ? 'pg_catalog.json_strip_nulls(pg_catalog.json_agg(r.*))' : 'pg_catalog.json_agg(r.*)'
      return `coalesce((${rows})::text, '[]')`
    }
  }
}

function csvHeader(read: ReadPlan): string {
  const names = read.outputs.map((output) => (output.kind === 'embed' ? output.embed.name : output.name))
  return names.join(',')
}
