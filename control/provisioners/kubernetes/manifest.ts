/** A resource of Kubernetes as plain JSON, as it goes over the wire. */
export type Manifest = {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    finalizers?: string[]
    ownerReferences?: OwnerReference[]
  }
  [part: string]: unknown
}

export type OwnerReference = { apiVersion: string; kind: string; name: string; uid: string }

/** The resource with an owner: once that is gone Kubernetes removes it, too. Pure. */
export function ownedBy(manifest: Manifest, owner: OwnerReference): Manifest {
  return { ...manifest, metadata: { ...manifest.metadata, ownerReferences: [owner] } }
}
