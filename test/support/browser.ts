import { access } from 'node:fs/promises'
import { type Browser, chromium } from 'playwright-core'
import { installDebianPackages } from '../../runtime/debian-packages.ts'

const CHROMIUM = '/usr/bin/chromium'

/** A real Chromium (Debian's, installed where it is missing), without a window and without calls home. */
export async function startBrowser(): Promise<Browser> {
  if (!(await isThere())) {
    const outcome = await installDebianPackages(['chromium'])
    if (!(await isThere()))
      throw new Error(`The tests need ${CHROMIUM}: ${outcome.isInstalled ? 'the package has none' : outcome.why}`)
  }
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Tenants' and control's names are this machine.
      '--host-resolver-rules=MAP * 127.0.0.1',
    ],
  })
}

function isThere(): Promise<boolean> {
  return access(CHROMIUM).then(
    () => true,
    () => false,
  )
}
