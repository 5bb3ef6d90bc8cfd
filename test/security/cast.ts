import { randomBytes } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import pg from 'pg'
import { type Answer, type CallOptions, type Tenant, TestPlatform } from '../support/platform.ts'

/** The degrees of isolation that are attacked: every case runs on each. */
export const DEGREES = ['schema', 'database', 'cluster'] as const
export type Degree = (typeof DEGREES)[number]

/** What an attacker may hold of its own tenant. */
export const ROLES = ['anon', 'authenticated', 'service'] as const
export type AttackerRole = (typeof ROLES)[number]

/** A tenant with a secret row, a secret file and a JWT secret of its own. */
export type Party = Tenant & { schema: string; canary: string; jwtSecret: string }

/** Two tenants of one degree on one platform. */
export type Cast = { platform: TestPlatform; degree: Degree; victim: Party; attacker: Party }

/** Starts a platform with a victim and an attacker of each degree. */
export async function startCasts(
  degrees: readonly Degree[] = DEGREES,
  env: Record<string, string> = {},
): Promise<{ platform: TestPlatform; casts: Map<Degree, Cast> }> {
  const platform = await TestPlatform.start({
    // Hundreds of wrong keys come from one address here.
    env: { AERODB_GATEWAY_FAILED_KEYS_PER_MINUTE: '0', AERODB_CONTROL_FAILED_KEYS_PER_MINUTE: '0', ...env },
  })
  try {
    const casts = new Map<Degree, Cast>()
    for (const degree of degrees) {
      const [victim, attacker] = await Promise.all([
        makeParty(platform, `victim-${degree}`, degree),
        makeParty(platform, `attacker-${degree}`, degree),
      ])
      casts.set(degree, { platform, degree, victim, attacker })
    }
    return { platform, casts }
  } catch (fault) {
    await platform.close()
    throw fault
  }
}

/** A tenant with `notes` that hold its canary, in its rows and in a bucket. */
export async function makeParty(platform: TestPlatform, name: string, isolation: Degree): Promise<Party> {
  const tenant = await platform.createTenant(name, { plan: 'enterprise', isolation })
  const party = {
    ...tenant,
    schema: `t_${tenant.tenant_id.slice(4)}`,
    canary: `canary-${randomBytes(12).toString('hex')}`,
    jwtSecret: randomBytes(32).toString('hex'),
  }
  const key = party.keys.service
  const columns = [
    { name: 'title', type: 'text', nullable: false, unique: true },
    { name: 'meta', type: 'jsonb' },
  ]
  const comments = {
    name: 'comments',
    columns: [
      { name: 'body', type: 'text' },
      { name: 'note_id', type: 'bigint', references: 'notes.id' },
    ],
  }
  await expectStatus(
    200,
    platform.control(`/v1/tenants/${party.tenant_id}/jwt`, { method: 'PUT', body: { secret: party.jwtSecret } }),
  )
  await expectStatus(201, platform.call(name, '/schema/v1/collections', { key, body: { name: 'notes', columns } }))
  await expectStatus(201, platform.call(name, '/schema/v1/collections', { key, body: comments }))
  const note = { title: party.canary, meta: { secret: party.canary } }
  await expectStatus(201, platform.call(name, '/rest/v1/notes', { key, body: note }))
  await expectStatus(
    200,
    platform.call(name, '/storage/v1/bucket', { key, body: { id: 'private', name: 'private', public: false } }),
  )
  await expectStatus(
    200,
    platform.call(name, '/storage/v1/object/private/secret.txt', {
      key,
      body: party.canary,
      headers: { 'content-type': 'text/plain' },
    }),
  )
  return party
}

/** Runs `work` as the administrator of the server that holds a tenant's rows; of a cluster, its primary. */
export async function asAdminOf<Result>(
  platform: TestPlatform,
  party: Party,
  degree: Degree,
  work: (admin: pg.Client) => Promise<Result>,
): Promise<Result> {
  for (const config of await administratorsOf(platform, party, degree)) {
    const admin = new pg.Client(config)
    // Some tests end sessions.
    admin.on('error', () => {})
    await admin.connect()
    try {
      const { rows } = await admin.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
      if (rows[0]?.standby === false) return await work(admin)
    } finally {
      await admin.end()
    }
  }
  throw new Error(`No server of ${party.name} runs`)
}

/** A tenant's own servers are entered by the socket in their directory, as the user that started the platform. */
async function administratorsOf(platform: TestPlatform, party: Party, degree: Degree): Promise<pg.ClientConfig[]> {
  if (degree === 'schema') return [{ connectionString: platform.endpoints.shared_database_urls[0] }]
  const id = party.tenant_id.slice(4)
  const names = degree === 'database' ? [`ten_${id}`] : [1, 2, 3].map((node) => `clu_${id}-${node}`)
  const root = await realpath(join(platform.directory, 'tenants'))
  return Promise.all(
    names.map(async (name) => {
      const directory = join(root, name)
      const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n')
      return { host: directory, port: Number(lines[3]), user: 'postgres', database: 'postgres' }
    }),
  )
}

/** A token that the tenant's own secret signs. */
export function signFor(party: Party, claims: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ role: 'authenticated', sub: 'mallory', ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(party.jwtSecret))
}

/** A request of a tenant to its own host, with what one of its roles holds. */
export async function callAs(
  platform: TestPlatform,
  party: Party,
  role: AttackerRole,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const key = role === 'authenticated' ? await signFor(party) : party.keys[role]
  const headers = { apikey: role === 'service' ? party.keys.service : party.keys.anon, ...options.headers }
  return platform.call(party.name, path, { key, ...options, headers })
}

/** Everything of an answer that its reader sees. */
export function textOf(answer: Answer): string {
  return `${answer.status} ${JSON.stringify(answer.headers)} ${answer.text}`
}

async function expectStatus(status: number, answering: Promise<Answer>): Promise<void> {
  const answer = await answering
  if (answer.status !== status) throw new Error(`Expected ${status}, got ${answer.status}: ${answer.text}`)
}
