declare global {
  var __webpack_nonce__: string | undefined
}

/** The nonce of this answer, under which alone the page's policy lets styles be added. */
export function readNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''
}

/** The library that locks scrolling behind dialogs looks for the nonce under this name. */
globalThis.__webpack_nonce__ = readNonce()
