import { createTransport } from 'nodemailer'
import { makeId } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Channel } from './dispatch.ts'
import type { Notice } from './notice.ts'

export type MailSettings = {
  /** `smtp://user:password@host:port` or `smtps://`. */
  url: string
  from: string
  to: readonly string[]
}

/** Seconds to the next attempt after the first, second, ... failed. */
const RETRY_SECONDS: readonly number[] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800]
const TIMEOUT_MS = 10_000
const LEASE_SECONDS = 60
const BATCH = 10

/** Keeps a mail for each recipient, in the transaction that tells of the alerts. */
export function makeMailChannel({ to }: MailSettings): Channel {
  return async (change, notice) => {
    const { subject, body } = writeMail(notice)
    await change.tx.query(
      `insert into control.alert_mails (mail_id, recipient, subject, body)
       select * from unnest($1::text[], $2::text[]) as mail (mail_id, recipient), (values ($3, $4)) as text (subject, body)`,
      [to.map(() => makeId('mail')), to, subject, body],
    )
  }
}

/** Sends kept mails, each at least once: the `Message-ID` stays the same, so mail systems tell repeats. */
export class MailSender {
  readonly #pool: PostgresPool
  readonly #log: Logger
  readonly #from: string
  readonly #domain: string
  readonly #transport: ReturnType<typeof createTransport>

  constructor(options: { pool: PostgresPool; log: Logger; settings: MailSettings; domain: string }) {
    this.#pool = options.pool
    this.#log = options.log
    this.#from = options.settings.from
    this.#domain = options.domain
    this.#transport = createTransport({
      url: options.settings.url,
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }

  /** Sends what is due. */
  async sendDue(): Promise<void> {
    for (;;) {
      const due = await this.#pool.query<Mail>(
        `update control.alert_mails set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $1)
         where mail_id in (select mail_id from control.alert_mails where status = 'pending' and next_attempt_at <= now()
           order by next_attempt_at limit $2 for update skip locked)
         returning mail_id, recipient, subject, body, attempts`,
        [LEASE_SECONDS, BATCH],
      )
      await Promise.all(due.rows.map((mail) => this.#send(mail)))
      if (due.rows.length < BATCH) return
    }
  }

  close(): void {
    this.#transport.close()
  }

  async #send(mail: Mail): Promise<void> {
    const retrySeconds = RETRY_SECONDS[mail.attempts - 1]
    let error: string | null = null
    try {
      await this.#transport.sendMail({
        from: this.#from,
        to: mail.recipient,
        subject: mail.subject,
        text: mail.body,
        messageId: `<${mail.mail_id}@${this.#domain}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
    } catch (fault) {
      this.#log.warn({ err: fault, mail_id: mail.mail_id }, 'an alert could not be mailed')
      error = ((fault as NodeJS.ErrnoException).code ?? (fault as Error).name).slice(0, 100)
    }
    const status = error === null ? 'delivered' : retrySeconds === undefined ? 'failed' : 'pending'
    await this.#pool.query(
      `update control.alert_mails set status = $2, last_error = $3, next_attempt_at = now() + make_interval(secs => $4)
       where mail_id = $1`,
      [mail.mail_id, status, error, retrySeconds ?? 0],
    )
  }
}

type Mail = { mail_id: string; recipient: string; subject: string; body: string; attempts: number }

/** A notice as a mail: plain text, one fact a line. */
export function writeMail(notice: Notice): { subject: string; body: string } {
  const isOver = notice.event === 'alert.resolved'
  const about = notice.alerts === 1 ? notice.detail : `${notice.alerts} alerts (${notice.group})`
  const lines = [
    notice.detail,
    '',
    `State:    ${isOver ? 'resolved' : 'open'}`,
    `Kind:     ${notice.kind}`,
    `Severity: ${notice.severity}`,
    `Opened:   ${notice.opened_at}`,
    ...(notice.resolved_at === null ? [] : [`Resolved: ${notice.resolved_at}`]),
    `Alert:    ${notice.alert_id}`,
    `Group:    ${notice.group}`,
    ...(notice.tenant_ids.length === 0 ? [] : [`Tenants:  ${notice.tenant_ids.join(', ')}`]),
  ]
  const subject = `[AeroDB] ${isOver ? 'Resolved' : notice.severity.toUpperCase()}: ${notice.kind}: ${about}`
  // One line, whatever a detail holds.
  return { subject: subject.replace(/\s+/g, ' ').slice(0, 200), body: `${lines.join('\n')}\n` }
}
