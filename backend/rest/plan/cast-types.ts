import type { Catalogue } from '../../catalogue/catalogue.ts'
import { quoteIdentifier } from '../../postgres/quote.ts'
import { RestError } from '../rest-error.ts'

/**
 * Types of Postgres that a cast may name, with their names in pg_type. The `reg...` types are left out: they turn numbers
 * into names of other tenants' objects.
 */
const CASTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'money', 'text', 'varchar', 'bpchar', 'bytea'],
      ...[
        'date',
        'time',
        'timetz',
        'timestamp',
        'timestamptz',
        'interval',
        'uuid',
        'json',
        'jsonb',
        'xml',
        'inet',
        'cidr',
      ],
      ...[
        'macaddr',
        'macaddr8',
        'bit',
        'varbit',
        'tsvector',
        'tsquery',
        'point',
        'line',
        'lseg',
        'box',
        'path',
        'polygon',
      ],
      ...['circle', 'int4range', 'int8range', 'numrange', 'tsrange', 'tstzrange', 'daterange'],
    ].map((name) => [name, name]),
  ),
  boolean: 'bool',
  smallint: 'int2',
  integer: 'int4',
  int: 'int4',
  bigint: 'int8',
  real: 'float4',
  'double precision': 'float8',
  decimal: 'numeric',
  'character varying': 'varchar',
  character: 'bpchar',
  char: 'bpchar',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
  'bit varying': 'varbit',
}

/** The type as SQL text. @throws RestError 42704 for a type that is unknown or must not be named. */
export function resolveCast(catalogue: Catalogue, name: string): string {
  const isArray = name.endsWith('[]')
  const base = (isArray ? name.slice(0, -2) : name).trim().replaceAll(/ +/g, ' ')
  const builtIn = Object.hasOwn(CASTS, base.toLowerCase()) ? CASTS[base.toLowerCase()] : undefined
  const type =
    builtIn !== undefined
      ? `pg_catalog.${builtIn}`
      : catalogue.types.has(base)
        ? `${quoteIdentifier(catalogue.schema)}.${quoteIdentifier(base)}`
        : undefined
  if (type === undefined) throw new RestError(400, '42704', `type "${base}" does not exist`)
  return isArray ? `${type}[]` : type
}
