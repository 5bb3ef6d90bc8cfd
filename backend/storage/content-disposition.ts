/**
 * The Content-Disposition of a download (RFC 6266): `attachment` with the name in ASCII and, where that loses something, in
 * UTF-8 (RFC 8187). The name is data from a stranger: nothing of it can end the field.
 */
export function attachmentDisposition(fileName: string): string {
  const ascii = fileName.normalize('NFC').replace(/[^\x20-\x7e]|["\\%]/gu, '_')
  const extended = encodeURIComponent(fileName.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return ascii === fileName
    ? `attachment; filename="${ascii}"`
    : `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`
}
