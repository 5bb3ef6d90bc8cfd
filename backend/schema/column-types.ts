/** Types that a collection's column may have, by the names that Postgres knows them under, with the name we write. */
const TYPES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text', 'date', 'time'],
      ...[
        'timestamp',
        'timestamptz',
        'timetz',
        'interval',
        'uuid',
        'json',
        'jsonb',
        'bytea',
        'inet',
        'cidr',
        'macaddr',
      ],
      ...[
        'tsvector',
        'int4range',
        'int8range',
        'numrange',
        'tsrange',
        'tstzrange',
        'daterange',
        'point',
        'varchar',
        'char',
      ],
      'money',
    ].map((name) => [name, name]),
  ),
  bool: 'boolean',
  int2: 'smallint',
  int: 'integer',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  float: 'double precision',
  decimal: 'numeric',
  string: 'text',
  'character varying': 'varchar',
  character: 'char',
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
}

/** Those that take a length or precision in parentheses, with the most numbers that they take. */
const MODIFIERS: Readonly<Record<string, number>> = {
  varchar: 1,
  char: 1,
  numeric: 2,
  timestamp: 1,
  timestamptz: 1,
  time: 1,
}

const SHAPE = /^([a-z0-9 ]+?)\s*(?:\(\s*(\d{1,8})\s*(?:,\s*(\d{1,4})\s*)?\))?\s*((?:\[\])?)$/

/** The type as SQL text, made of our own words only; `undefined` when it is not on the list. */
export function parseColumnType(text: string): string | undefined {
  const match = SHAPE.exec(text.trim().toLowerCase().replaceAll(/\s+/g, ' '))
  if (match === null) return undefined
  const [, word = '', first, second, array] = match
  const type = Object.hasOwn(TYPES, word) ? TYPES[word] : undefined
  if (type === undefined) return undefined
  const numbers = [first, second].filter((number) => number !== undefined)
  if (numbers.length > (MODIFIERS[type] ?? 0)) return undefined
  return `${type}${numbers.length > 0 ? `(${numbers.join(', ')})` : ''}${array}`
}
