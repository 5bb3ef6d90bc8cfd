import { readFile } from 'node:fs/promises'
import { Option } from '@commander-js/extra-typings'
import { type Document, unwrap } from '../../client/platform-client.ts'
import { CliFault, EXIT } from '../fault.ts'
import { findTenant } from '../find-tenant.ts'
import { readPositive, readSeconds } from '../read-quantity.ts'
import { confirmName, type Perform, readStdin } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import type { Group } from './group.ts'

/** `aerodb keys` */
export function addKeyCommands(keys: Group, perform: Perform): void {
  keys
    .command('list <tenant>')
    .description('List the keys that are good now; the keys themselves are never shown again.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const page = unwrap(await api.GET('/v1/tenants/{tenant_id}/keys', { params: { path: { tenant_id } } }))
        session.out.show(page, () => renderKeys(page.data))
      }),
    )

  keys
    .command('create <tenant>')
    .description('Make a further key and show it this once.')
    .addOption(new Option('--kind <kind>', 'what it opens').choices(['anon', 'service'] as const).makeOptionMandatory())
    .option('--rate-limit <number>', "requests per second with this key, beside the tenant's limit", readPositive)
    .action((reference, { kind, rateLimit }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const body = { kind, ...(rateLimit !== undefined && { rate_limit: rateLimit }) }
        const made = unwrap(await api.POST('/v1/tenants/{tenant_id}/keys', { params: { path: { tenant_id } }, body }))
        session.out.show(made, () => renderShown(made))
      }),
    )

  keys
    .command('limit <tenant> <key_id>')
    .description("Set a key's own rate limit, beside the tenant's.")
    .argument('<requests_per_second>', 'a whole number, or `none` to end it', readKeyLimit)
    .action((reference, key_id, rate_limit) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const now = unwrap(
          await api.PATCH('/v1/tenants/{tenant_id}/keys/{key_id}', {
            params: { path: { tenant_id, key_id } },
            body: { rate_limit },
          }),
        )
        session.out.show(now, () => renderKeys([now]))
      }),
    )

  keys
    .command('rotate <tenant> <key_id>')
    .description('Replace a key and show the new one this once; the old one works on for the overlap.')
    .option('--overlap <time>', 'how long: 0, 90s, 15m, 24h, 7d; a day unless given', readSeconds)
    .action((reference, key_id, { overlap }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const made = unwrap(
          await api.POST('/v1/tenants/{tenant_id}/keys/{key_id}/rotate', {
            params: { path: { tenant_id, key_id } },
            body: overlap === undefined ? {} : { overlap_seconds: overlap },
          }),
        )
        session.out.show(made, () => renderShown(made))
      }),
    )

  keys
    .command('revoke <tenant> <key_id>')
    .description('Revoke a key at once.')
    .option('-y, --yes', "do not ask for the tenant's name")
    .action((reference, key_id, { yes = false }) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id, name } = await findTenant(api, reference)
        await confirmName(session, name, `This revokes the key ${key_id} of ${name}`, yes)
        await api.DELETE('/v1/tenants/{tenant_id}/keys/{key_id}', { params: { path: { tenant_id, key_id } } })
        session.out.show({ key_id, revoked: true }, () => `${key_id} opens nothing any more.\n`)
      }),
    )

  const jwt = keys.command('jwt').description("How a tenant's JWTs are verified.")
  jwt
    .command('get <tenant>')
    .description('Show it; the secret is never shown.')
    .action((reference) =>
      perform(async (session) => {
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const found = unwrap(await api.GET('/v1/tenants/{tenant_id}/jwt', { params: { path: { tenant_id } } }))
        session.out.show(found, () => renderJwt(found))
      }),
    )
  jwt
    .command('set <tenant>')
    .description('Set it, in place of all that was set before.')
    .option('--secret-file <file>', 'HS256 with the secret in this file; `-` reads it from stdin')
    .addOption(new Option('--jwks-url <url>', 'RS256, ES256, EdDSA with the keys there').conflicts('secretFile'))
    .option('--issuer <issuer>', 'what `iss` must be')
    .option('--audience <audience>', 'what `aud` must have')
    .addOption(new Option('--clear', 'no JWT opens the tenant any more').conflicts(['secretFile', 'jwksUrl']))
    .action((reference, { secretFile, jwksUrl, issuer, audience, clear = false }) =>
      perform(async (session) => {
        if (!clear && secretFile === undefined && jwksUrl === undefined)
          throw new CliFault(EXIT.usage, 'nothing_to_set', 'Give --secret-file, --jwks-url or --clear.')
        const secret =
          secretFile === undefined
            ? undefined
            : secretFile === '-'
              ? await readStdin()
              : (await readFile(secretFile, 'utf8')).trim()
        const api = await session.connect()
        const { tenant_id } = await findTenant(api, reference)
        const body = {
          ...(secret !== undefined && { secret }),
          ...(jwksUrl && { jwks_url: jwksUrl }),
          ...(issuer && { issuer }),
          ...(audience && { audience }),
        }
        const now = unwrap(await api.PUT('/v1/tenants/{tenant_id}/jwt', { params: { path: { tenant_id } }, body }))
        session.out.show(now, () => renderJwt(now))
      }),
    )
}

function readKeyLimit(text: string): number | null {
  return text === 'none' ? null : readPositive(text)
}

function renderKeys(keys: readonly Document<'TenantKey'>[]): string {
  return renderTable(
    keys,
    [
      { title: 'ID', of: (one) => one.key_id },
      { title: 'KIND', of: (one) => one.kind },
      { title: 'HINT', of: (one) => one.hint },
      { title: 'REQ/S', of: (one) => String(one.rate_limit ?? '-') },
      { title: 'CREATED', of: (one) => one.created_at },
      { title: 'EXPIRES', of: (one) => one.expires_at ?? '-' },
      { title: 'REPLACED BY', of: (one) => one.replaced_by ?? '-' },
    ],
    'No keys.',
  )
}

function renderShown(made: Document<'ShownTenantKey'>): string {
  return renderFacts({ id: made.key_id, kind: made.kind, key: made.key })
}

function renderJwt(jwt: Document<'TenantJwt'>): string {
  return renderFacts({
    secret: jwt.has_secret ? 'set' : 'none',
    'JWKS URL': jwt.jwks_url ?? 'none',
    issuer: jwt.issuer ?? 'any',
    audience: jwt.audience ?? 'any',
  })
}
