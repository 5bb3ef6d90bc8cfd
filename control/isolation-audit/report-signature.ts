import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'
import { CompactSign, calculateJwkThumbprint, compactVerify, exportJWK, importJWK, type JWK } from 'jose'
import type { IsolationReport } from './report.ts'

/** What a signed report is, so that no other signature of ours is taken for one (RFC 8725, section 3.11). */
const TYPE = 'aerodb-isolation-report+jws'
/** The constant head of an Ed25519 private key in PKCS #8 (RFC 8410, section 7); the 32 octets of the seed follow. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The public half, as a JWK (RFC 8037). */
export type ReportKey = Record<'kty' | 'crv' | 'x' | 'kid' | 'alg' | 'use', string>

/**
 * Signs reports with EdDSA (Ed25519). The key is derived from the platform's internal secret: every replica signs with the same
 * one, nothing has to be kept, and the public half can be handed to auditors, who need no secret of ours to verify. A new
 * internal secret is a new key; keep the old public key with the old reports.
 */
export class ReportSigner {
  readonly #key: ReturnType<typeof createPrivateKey>

  constructor(internalSecret: string) {
    const seed = Buffer.from(hkdfSync('sha256', internalSecret, '', 'aerodb-isolation-report', 32))
    this.#key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  }

  /** The public key, with its thumbprint (RFC 7638) as `kid`. */
  async publicKey(): Promise<ReportKey> {
    const { kty = '', crv = '', x = '' } = await exportJWK(createPublicKey(this.#key))
    return { kty, crv, x, kid: await calculateJwkThumbprint({ kty, crv, x }), alg: 'EdDSA', use: 'sig' }
  }

  /** The report as a JWS in compact form. */
  async sign(report: IsolationReport): Promise<string> {
    const { kid } = await this.publicKey()
    return new CompactSign(new TextEncoder().encode(JSON.stringify(report)))
      .setProtectedHeader({ alg: 'EdDSA', typ: TYPE, kid })
      .sign(this.#key)
  }
}

/** @throws when the text was not signed as a report with this key. */
export async function verifyReport(jws: string, publicKey: JWK): Promise<IsolationReport> {
  const key = await importJWK(publicKey, 'EdDSA')
  const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['EdDSA'] })
  if (protectedHeader.typ !== TYPE) throw new Error('It is no isolation report')
  return JSON.parse(new TextDecoder().decode(payload)) as IsolationReport
}
