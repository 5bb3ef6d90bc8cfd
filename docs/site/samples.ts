/**
 * What an example of a call sends. A string `$NAME` in a body is a variable of the environment; `file` is where a document that is
 * not JSON goes.
 */
export type Sample = {
  /** Parameters of the path that are not taken from the environment. */
  path?: Record<string, string>
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Record<string, unknown>
  file?: string
}

/** By call; one that needs nothing but its path is not here. */
export const SAMPLES: Readonly<Record<string, Sample>> = {
  'POST /v1/tenants': {
    headers: { 'Idempotency-Key': '5f0c7c1e-4b1d-4d0a-9a51-6f1f0a7c1b2d' },
    body: { name: 'acme', plan: 'pro', isolation: 'schema' },
  },
  'GET /v1/tenants': { query: { plan: 'pro', sort: 'storage', limit: '20' } },
  'PATCH /v1/tenants/{tenant_id}': { body: { plan: 'pro', quotas: { requests_per_second: 500, storage_bytes: null } } },
  'POST /v1/tenants/{tenant_id}/keys': { body: { kind: 'anon' } },
  'PATCH /v1/tenants/{tenant_id}/keys/{key_id}': { body: { rate_limit: 50 } },
  'POST /v1/tenants/{tenant_id}/keys/{key_id}/rotate': { body: { overlap_seconds: 3600 } },
  'PUT /v1/tenants/{tenant_id}/jwt': {
    body: { secret: '$JWT_SECRET', issuer: 'https://login.example.com', audience: 'acme' },
  },
  'POST /v1/tenants/{tenant_id}/access-grants': {
    body: { reason: 'Ticket 4711: rows that do not show', minutes: 60, access: 'read' },
  },
  'GET /v1/tenants/{tenant_id}/export': { file: 'acme.sql' },
  'GET /v1/tenants/{tenant_id}/usage/{month}/series': { query: { resource: 'api_requests', step: 'day' } },
  'GET /v1/tenants/{tenant_id}/usage-series': {
    query: { resource: 'api_requests', by: 'status', from: '2026-11-01', to: '2026-11-30' },
  },
  'GET /v1/usage-series': { query: { from: '2026-11-01', to: '2026-11-30' } },
  'GET /v1/revenue': { query: { months: '6' } },
  'POST /v1/pricing/estimate': {
    body: {
      usage: { api_requests: 800_000, storage_bytes: 20_000_000_000, egress_bytes: 60_000_000_000 },
      isolation: 'database',
    },
  },
  'GET /v1/tenants/{tenant_id}/invoices/{month}': { query: { format: 'pdf' }, file: 'invoice.pdf' },
  'GET /v1/invoices/{invoice_id}': { query: { format: 'csv' }, file: 'invoice.csv' },
  'GET /v1/invoices': { query: { month: '2026-11', state: 'issued' } },
  'POST /v1/invoices/close': { query: { month: '2026-10' } },
  'POST /v1/invoices/{invoice_id}/{act}': { path: { act: 'pay' }, body: { note: 'Bank transfer of 2026-11-12' } },
  'PUT /v1/tenants/{tenant_id}/spend-limits': {
    body: { alerts_micros: [50_000_000, 80_000_000], cap_micros: 100_000_000 },
  },
  'PUT /v1/tenants/{tenant_id}/customer': {
    body: {
      name: 'Acme Ltd',
      address: ['1 Main Street', 'Dublin'],
      email: 'billing@acme.example',
      tax_id: 'IE1234567T',
    },
  },
  'GET /v1/tenants/{tenant_id}/ledger': { query: { month: '2026-11' }, file: 'ledger.csv' },
  'PUT /v1/tenants/{tenant_id}/credits/{key}': {
    path: { key: 'ticket-4711' },
    body: { reason: 'Ticket 4711', amount_micros: 5_000_000 },
  },
  'PATCH /v1/servers/{server}': { body: { draining: true } },
  'POST /v1/platform-keys': { body: { name: 'prometheus', role: 'viewer' } },
  'POST /v1/backends': { body: { name: 'postgrest-eu', url: '$BACKEND_URL', pipelining: 16 } },
  'POST /v1/webhooks': { body: { url: '$WEBHOOK_URL', events: ['alert.opened', 'alert.resolved'] } },
  'POST /v1/silences': {
    body: {
      matcher: { kind: 'quota', tenant_id: '$TENANT_ID' },
      ends_at: '$ENDS_AT',
      reason: 'A load test of the customer',
    },
  },
  'POST /v1/maintenance-windows': { body: { ends_at: '$ENDS_AT', reason: 'PostgreSQL is upgraded' } },
  'GET /v1/alerts': { query: { status: 'open' } },
  'GET /v1/audit-log': { query: { limit: '20' } },
  'GET /v1/operations': { query: { status: 'running' } },
}

/** Calls that nobody types, and who makes them. */
export const WITHOUT_EXAMPLE: ReadonlyMap<string, string> = new Map([
  ['POST /v1/stripe/webhook', 'Called by Stripe, not by you.'],
  ['POST /v1/session', "Called by the dashboard's pages only, which say so by their `Origin`."],
  ['DELETE /v1/session', "Called by the dashboard's pages only, which say so by their `Origin`."],
])
