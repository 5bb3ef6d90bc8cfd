import type { Manifest } from './manifest.ts'
import { labelsOf, secretName } from './names.ts'
import type { KubernetesSettings } from './settings.ts'

/** The administrator's password of a server, for CloudNativePG to set; control keeps it sealed. Pure. */
export function makeSecretManifest(server: string, password: string, { namespace }: KubernetesSettings): Manifest {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    // CloudNativePG follows a Secret that changes by this label.
    metadata: { name: secretName(server), namespace, labels: { ...labelsOf(server), 'cnpg.io/reload': 'true' } },
    type: 'kubernetes.io/basic-auth',
    data: { username: base64('postgres'), password: base64(password) },
  }
}
