import type { CallOptions } from '../support/platform.ts'
import type { Party } from './cast.ts'

export type Attack = { what: string; path: string; options?: CallOptions }

const q = encodeURIComponent
const accept = (value: string) => ({ headers: { accept: value } })
const prefer = (value: string) => ({ headers: { prefer: value } })

/** Requests to the attacker's own host that name what is the victim's, by every way that the grammar of `/rest/v1` has. */
export function requestAttacks(victim: Party): Attack[] {
  const { schema, tenant_id: id } = victim
  const reads: Record<string, string[]> = {
    'an id': ['?id=eq.1', '?id=gte.0', '?id=in.(1,2,3)', '?id=not.is.null'],
    'the tenant column': [`?tenant_id=eq.${id}`, '?tenant_id=not.is.null', '?select=tenant_id', '?order=tenant_id'],
    'a filter': [
      '?title=like.canary*',
      '?title=match.^canary',
      '?title=neq.x',
      '?or=(title.neq.x,title.is.null)',
      '?not.and=(id.lt.0)',
    ],
    'an embed': [
      `?select=*,${schema}.notes(*)`,
      '?select=*,comments(*,notes(*))',
      `?select=*,"${schema}"."notes"(title)`,
      '?select=*,pg_class(*)',
    ],
    select: [
      `?select=${schema}.title`,
      '?select=xmin,ctid',
      '?select=tableoid',
      '?select=notes',
      '?select=*,*',
      '?select=count()',
      '?select=title.max()',
    ],
    'a cast': [
      '?select=tableoid::regclass',
      '?select=id::regclass',
      '?select=id::regrole',
      `?select=title::${schema}.notes`,
      '?select=meta::xml',
    ],
    'an operator': [
      '?title=fts.canary',
      '?title=plfts.canary',
      '?meta=cs.{}',
      '?meta=cd.{}',
      '?title=isdistinct.x',
      '?title=imatch.CANARY',
    ],
    order: [`?order=${schema}.title`, '?order=comments(body).desc', '?order=meta->>secret'],
    'a JSON path': [
      '?select=meta->>secret',
      '?meta->>secret=like.canary*',
      `?select=meta->>${q("a' from pg_roles --")}`,
      '?select=meta->secret->0->-1',
    ],
    'a page': [
      '?limit=1&offset=0',
      '?offset=1',
      '?limit=9223372036854775807',
      '?offset=9223372036854775807',
      '?limit=-1',
    ],
  }
  const attacks: Attack[] = Object.entries(reads).flatMap(([what, queries]) =>
    queries.map((query) => ({ what, path: `/rest/v1/notes${query}` })),
  )
  const tables = [
    `${schema}.notes`,
    q(`"${schema}"."notes"`),
    `${schema}%2Fnotes`,
    'pg_stat_activity',
    'pg_class',
    'pg_roles',
    'pg_stats',
    'pg_largeobject',
    'information_schema.tables',
    'pg_prepared_statements',
    'aerodb.move_marks',
  ]
  attacks.push(...tables.map((name) => ({ what: 'another table', path: `/rest/v1/${name}` })))
  const functions = [
    'pg_read_file?filename=PG_VERSION',
    'set_config?setting_name=role&new_value=postgres&is_local=false',
    `set_config?setting_name=app.tenant_id&new_value=${id}&is_local=false`,
    'pg_terminate_backend?pid=1',
    'pg_cancel_backend?pid=1',
    'pg_notify?channel=a&payload=b',
    'pg_advisory_lock?key=1',
    'pg_sleep?seconds=20',
    'lo_export?a=1&b=2',
    'dblink?a=dbname%3Dpostgres',
    'query_to_xml?query=select+1',
    'nextval?regclass=notes_id_seq',
    `${schema}.f`,
  ]
  attacks.push(...functions.map((name) => ({ what: 'a function', path: `/rest/v1/rpc/${name}` })))
  for (const header of ['accept-profile', 'content-profile'])
    for (const value of [
      schema,
      'pg_catalog',
      'aerodb',
      'control',
      'information_schema',
      `public,${schema}`,
      `"${schema}"`,
    ]) {
      attacks.push({ what: 'a profile', path: '/rest/v1/notes', options: { headers: { [header]: value } } })
      attacks.push({
        what: 'a profile',
        path: '/rest/v1/notes?id=eq.0',
        options: { method: 'DELETE', headers: { [header]: value } },
      })
    }
  for (const count of ['exact', 'planned', 'estimated'])
    attacks.push({ what: 'a count', path: '/rest/v1/notes?limit=0', options: prefer(`count=${count}`) })
  for (const type of [
    'text/csv',
    'application/vnd.pgrst.object+json',
    'application/geo+json',
    'application/vnd.pgrst.plan+json; options=analyze|verbose|settings|buffers|wal',
    'application/vnd.pgrst.plan+text',
    'application/octet-stream',
  ])
    attacks.push({ what: 'a media type', path: '/rest/v1/notes', options: accept(type) })
  for (const range of ['0-0', '0-', '1-', '9999999999-', 'bytes=0-10'])
    attacks.push({ what: 'a range', path: '/rest/v1/notes', options: { headers: { range, 'range-unit': 'items' } } })
  attacks.push(
    { what: 'a foreign tenant column', path: '/rest/v1/notes', options: { body: { title: 'planted', tenant_id: id } } },
    {
      what: 'a foreign tenant column',
      path: '/rest/v1/notes?id=gt.0',
      options: { method: 'PATCH', body: { tenant_id: id } },
    },
    {
      what: 'a foreign tenant column',
      path: '/rest/v1/notes?columns=title,tenant_id',
      options: { body: [{ title: 'planted', tenant_id: id }] },
    },
    {
      what: 'a foreign tenant column',
      path: '/rest/v1/notes',
      options: { body: `title,tenant_id\nplanted,${id}\n`, headers: { 'content-type': 'text/csv' } },
    },
    {
      what: 'an upsert',
      path: '/rest/v1/notes?on_conflict=tenant_id,title',
      options: { body: { title: 'planted' }, ...prefer('resolution=merge-duplicates') },
    },
    {
      what: 'a mass change',
      path: `/rest/v1/${schema}.notes?id=gt.0`,
      options: { method: 'PATCH', body: { title: 'broken' } },
    },
    { what: 'a mass change', path: `/rest/v1/${schema}.notes?id=gt.0`, options: { method: 'DELETE' } },
  )
  const forged = Buffer.from(JSON.stringify({ tenant_id: id, name: victim.name, role: 'service_role' })).toString(
    'base64url',
  )
  for (const [name, value] of Object.entries({
    'x-aerodb-context': `${forged}.${forged}`,
    'X-AeroDB-Service': 'control.9999999999999.AAAA',
    'x-forwarded-host': `${victim.name}.localhost`,
    'x-forwarded-for': '127.0.0.1',
    'x-original-url': '/internal/v1/tenants',
    'x-http-method-override': 'DELETE',
    'x-tenant-id': id,
    connection: 'keep-alive, x-request-id, authorization',
    cookie: `aerodb_session=${forged}`,
  }))
    attacks.push({ what: `the header ${name}`, path: '/rest/v1/notes', options: { headers: { [name]: value } } })
  for (const path of [
    `/schema/v1/collections/${schema}.notes`,
    `/schema/v1/collections/${q(`${schema}"."notes`)}`,
    '/schema/v1/collections/pg_class',
    `/storage/v1/object/authenticated/private/..%2f..%2f${id}%2fprivate%2fsecret.txt`,
    `/storage/v1/object/private/%2e%2e%2f${id}%2fsecret.txt`,
    `/storage/v1/object/private/..%252f${id}%252fsecret.txt`,
    `/storage/v1/object/private/%EF%BC%8E%EF%BC%8E/${id}/secret.txt`,
    `/storage/v1/object/public/${id}/private/secret.txt`,
    `/storage/v1/object/info/private/${id}/secret.txt`,
    `/platform/v1/access-grants?tenant_id=${id}`,
    '/internal/v1/tenants',
    '/metrics',
  ])
    attacks.push({ what: 'another address', path })
  attacks.push({
    what: 'a reference',
    path: '/schema/v1/collections',
    options: { body: { name: 'spy', columns: [{ name: 'a', type: 'bigint', references: `${schema}.notes.id` }] } },
  })
  attacks.push({
    what: 'a copy of a file',
    path: '/storage/v1/object/copy',
    options: { body: { bucketId: 'private', sourceKey: `../${id}/private/secret.txt`, destinationKey: 'mine.txt' } },
  })
  return attacks
}

/**
 * Requests that carry a guess at what the victim holds. An answer to a right guess must be the answer to a wrong one: it would
 * be an oracle otherwise.
 */
export function guesses(
  victim: Party,
): { what: string; right: string; wrong: string; attack(guess: string): Attack }[] {
  const canary = { right: victim.canary, wrong: `canary-${'0'.repeat(24)}` }
  const path = '/rest/v1/notes'
  return [
    { what: 'a filter', ...canary, attack: (guess) => ({ what: '', path: `${path}?title=eq.${guess}` }) },
    {
      what: 'a count',
      ...canary,
      attack: (guess) => ({ what: '', path: `${path}?title=eq.${guess}&limit=0`, options: prefer('count=planned') }),
    },
    {
      what: 'a plan',
      ...canary,
      attack: (guess) => ({
        what: '',
        path: `${path}?title=eq.${guess}`,
        options: accept('application/vnd.pgrst.plan+json'),
      }),
    },
    {
      what: 'a unique column',
      ...canary,
      attack: (guess) => ({
        what: '',
        path,
        options: { body: { title: guess }, ...prefer('tx=rollback,return=minimal') },
      }),
    },
    {
      what: 'an upsert',
      ...canary,
      attack: (guess) => ({
        what: '',
        path: `${path}?on_conflict=title`,
        options: { body: { title: guess }, ...prefer('resolution=ignore-duplicates,return=minimal') },
      }),
    },
    {
      what: 'a file',
      right: 'secret.txt',
      wrong: 'absent.txt',
      attack: (guess) => ({ what: '', path: `/storage/v1/object/info/private/${victim.tenant_id}/${guess}` }),
    },
    {
      what: 'a schema',
      right: victim.schema,
      wrong: `t_${'0'.repeat(victim.schema.length - 2)}`,
      attack: (guess) => ({ what: '', path, options: { headers: { 'accept-profile': guess } } }),
    },
    {
      what: 'a table in a schema',
      right: victim.schema,
      wrong: `t_${'0'.repeat(victim.schema.length - 2)}`,
      attack: (guess) => ({ what: '', path: `/rest/v1/${guess}.notes` }),
    },
  ]
}
