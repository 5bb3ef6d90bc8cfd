import type { PostgresPool } from '../runtime/postgres-pool.ts'
import { text } from './invoice-view.ts'
import type { Month } from './month.ts'

const PAGE = 2_000
const COLUMNS = [
  ...['hour', 'kind', 'method', 'endpoint', 'status', 'requests', 'egress_bytes', 'ingress_bytes', 'duration_us'],
  ...[
    'documents_bytes',
    'files_bytes',
    'connections',
    'messages',
    'compute_ms',
    'at',
    'producer',
    'first_sequence',
    'last_sequence',
  ],
]

/**
 * A tenant's ledger of one month as CSV, row by row as it was written, streamed page by page. The place in the ledger is its
 * key (hour, producer, first sequence, last sequence and the row's own address in the page), so no page repeats or skips.
 */
export function exportLedger(pool: PostgresPool, tenantId: string, month: Month): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let after: Place | undefined
  let begun = false
  return new ReadableStream({
    async pull(controller) {
      const rows = await readPage(pool, tenantId, month, after)
      after = rows.at(-1)?.place
      const head = begun ? '' : `\ufeff${COLUMNS.join(',')}\r\n`
      begun = true
      controller.enqueue(encoder.encode(head + rows.map((row) => `${row.cells.map(text).join(',')}\r\n`).join('')))
      if (rows.length < PAGE) controller.close()
    },
  })
}

type Place = { hour: string; producer: string; first: string; tie: string }

async function readPage(pool: PostgresPool, tenantId: string, month: Month, after: Place | undefined) {
  const { rows } = await pool.query<Record<string, string | null>>(
    `select to_char(hour at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as hour, kind, method, endpoint, status::text,
       case when kind = 'request' then records::text end as requests, egress_bytes::text, ingress_bytes::text,
       duration_us::text, documents_bytes::text, files_bytes::text, connections::text, messages::text, compute_ms::text,
       to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, producer, first_sequence::text,
       last_sequence::text, tableoid::text || ctid::text as tie
     from metering.ledger
     where tenant_id = $1 and hour >= coalesce($4::timestamptz, $2) and hour < $3
       and ($4::timestamptz is null or (hour, producer, first_sequence, tableoid::text || ctid::text) > ($4, $5, $6::bigint, $7))
     order by ledger.hour, producer, ledger.first_sequence, tableoid::text || ctid::text limit $8`,
    [
      tenantId,
      new Date(month.startMs),
      new Date(month.endMs),
      after?.hour ?? null,
      after?.producer ?? '',
      after?.first ?? '0',
      after?.tie ?? '',
      PAGE,
    ],
  )
  return rows.map((row) => ({
    cells: COLUMNS.map((column) => row[column] ?? ''),
    place: {
      hour: row.hour ?? '',
      producer: row.producer ?? '',
      first: row.first_sequence ?? '0',
      tie: row.tie ?? '',
    },
  }))
}
