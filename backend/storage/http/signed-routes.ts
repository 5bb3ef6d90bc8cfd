import { z } from 'zod'
import { mayWrite } from '../bucket.ts'
import { storageProblems } from '../errors.ts'
import { checkBucketName, isValidKey } from '../names.ts'
import type { StorageSession } from '../session.ts'
import { findObject } from '../steps/find-object.ts'
import { type Route, type StorageCall, wantsUpsert } from './call.ts'
import { readBody, sendJson } from './json.ts'
import { addressOf, answerUpload } from './object-routes.ts'
import { sendObject } from './send-object.ts'

/** A signed upload URL is good for two hours, as in Supabase Storage. */
const UPLOAD_URL_SECONDS = 7_200
const expiresIn = z.number().int().min(1).max(315_360_000)

const oneSchema = z.object({ expiresIn, transform: z.unknown().optional(), versionId: z.string().nullish() })
const manySchema = z.object({ expiresIn, paths: z.array(z.string()).min(1).max(1_000) })

/** Signed URLs. Who holds one needs no key: what it allows was decided when it was signed. */
export const signedRoutes: readonly Route[] = [
  ['POST', '/object/upload/sign/:bucket/:name{.+}', signUpload],
  ['PUT', '/object/upload/sign/:bucket/:name{.+}', uploadSigned],
  ['POST', '/object/sign/:bucket', signMany],
  ['POST', '/object/sign/:bucket/:name{.+}', signOne],
  ['GET', '/object/sign/:bucket/:name{.+}', downloadSigned],
  ['HEAD', '/object/sign/:bucket/:name{.+}', downloadSigned],
]

async function signOne(call: StorageCall): Promise<void> {
  const { bucket, name } = addressOf(call)
  const body = await readBody(call, oneSchema)
  if (body.transform != null) throw storageProblems.transformationUnavailable()
  await findObject(call.services, call.session, { bucket, name, versionId: body.versionId ?? undefined }, 'own')
  sendJson(call, { signedURL: await downloadUrl(call, bucket, name, body.expiresIn) })
}

async function signMany(call: StorageCall): Promise<void> {
  const bucket = checkBucketName(call.params.bucket)
  const body = await readBody(call, manySchema)
  const found = await call.services.objects.findMany(call.session, bucket, body.paths.filter(isValidKey))
  sendJson(
    call,
    await Promise.all(
      body.paths.map(async (path) =>
        found.has(path)
          ? { error: null, path, signedURL: await downloadUrl(call, bucket, path, body.expiresIn) }
          : { error: 'Either the object does not exist or you do not have access to it', path, signedURL: null },
      ),
    ),
  )
}

async function downloadSigned(call: StorageCall): Promise<void> {
  const { bucket, name } = addressOf(call)
  const { tenantId } = call.session
  const grant = await call.services.signer.verify(call.query.get('token') ?? '', {
    tenantId,
    method: 'download',
    bucket,
    key: name,
  })
  // No cache may keep what the URL gives for longer than the URL is good for.
  const leftSeconds = Math.max(0, Math.floor((grant.expiresAtMs - call.services.clock.nowMs()) / 1_000))
  await sendObject(
    call,
    () => findObject(call.services, call.session.asService(), { bucket, name }, 'own'),
    () => `max-age=${leftSeconds}`,
  )
}

async function signUpload(call: StorageCall): Promise<void> {
  const { bucket, name } = addressOf(call)
  const upsert = wantsUpsert(call)
  const plan = await call.services.objects.planUpload(call.session, bucket, name)
  if (plan?.bucket == null) throw storageProblems.noSuchBucket()
  if (!mayWrite(plan.bucket.policy, call.session.role, call.session.subject)) throw storageProblems.accessDenied()
  if (plan.existing !== null && !upsert) throw storageProblems.keyExists()
  const { tenantId, role, subject: owner } = call.session
  const token = await call.services.signer.sign({ tenantId, method: 'upload', bucket, key: name }, UPLOAD_URL_SECONDS, {
    role,
    owner,
    upsert,
  })
  sendJson(call, { url: `/object/upload/sign/${bucket}/${name}?token=${token}`, token })
}

async function uploadSigned(call: StorageCall): Promise<void> {
  const at = addressOf(call)
  const { session, upsert } = await openSignedUpload(call, call.query.get('token'), at)
  await answerUpload(call, session, at, upsert)
}

/** The signer's session, for an upload to exactly this place. @throws Problem 400 when the token is for another, or none. */
export async function openSignedUpload(
  call: StorageCall,
  token: string | null | undefined,
  at: { bucket: string; name: string },
): Promise<{ session: StorageSession; upsert: boolean }> {
  const { tenantId } = call.session
  const wanted = { tenantId, method: 'upload', bucket: at.bucket, key: at.name } as const
  const { rights } = await call.services.signer.verify(token ?? '', wanted)
  if (rights === undefined) throw storageProblems.invalidToken()
  return { session: call.session.actAs(rights.role, rights.owner), upsert: rights.upsert }
}

/** Relative to `/storage/v1`, and not percent-encoded: storage-js encodes what it gets. */
async function downloadUrl(call: StorageCall, bucket: string, key: string, lifetimeSeconds: number): Promise<string> {
  const token = await call.services.signer.sign(
    { tenantId: call.session.tenantId, method: 'download', bucket, key },
    lifetimeSeconds,
  )
  return `/object/sign/${bucket}/${key}?token=${token}`
}
