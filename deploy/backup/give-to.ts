import { lchown, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Gives a folder and all in it to another account. Links are not followed. */
export async function giveTo(directory: string, owner: { uid: number; gid: number }): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await giveTo(path, owner)
    else await lchown(path, owner.uid, owner.gid)
  }
  await lchown(directory, owner.uid, owner.gid)
}
